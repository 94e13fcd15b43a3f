"""Prometheus: names of metrics and labels, and totals from its /api/v1/query."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tradespan.backends.protocol import BackendError
from tradespan.semconv import metrics
from tradespan.semconv.model import Metric

_UNITS = {"s": "seconds", "ms": "milliseconds", "By": "bytes", "1": ""}


def total_query(metric: str, by: Sequence[str], where: Mapping[str, str], window_s: int) -> str:
    """The PromQL of `Backend.total`.

    The newest value of each series counts, however long ago its process ended (within the
    window): an instant query alone forgets a series after five minutes.
    """
    matchers = ",".join(f"{label(key)}={json.dumps(value)}" for key, value in where.items())
    selector = f"last_over_time({series(metric)}{{{matchers}}}[{window_s}s])"
    groups = f" by ({', '.join(label(key) for key in by)})" if by else ""
    return f"sum{groups} ({selector})"


def totals(answer: Any, by: Sequence[str]) -> dict[tuple[str, ...], int]:
    """The result of such a query, by the values of `by`."""
    return {
        tuple(str(row["metric"].get(label(key), "")) for key in by): round(float(row["value"][1]))
        for row in answer["data"]["result"]
    }


def series(metric: str) -> str:
    """Name of the series that counts: a counter's `_total`, a histogram's `_count`.

    Raises:
        BackendError: the registry does not know the metric, so its unit is unknown.
    """
    found = _registry().get(metric)
    if found is None or found.kind == "gauge":
        hint = "the names stand in docs/reference/metrics.md"
        what = f"{metric} is not a counter or histogram of the registry"
        raise BackendError(what, where="tradespan.semconv.metrics", hint=hint)
    unit = "" if found.unit.startswith("{") else _UNITS.get(found.unit, found.unit)
    name = label(metric)
    if unit and not name.endswith(f"_{unit}"):
        name = f"{name}_{unit}"
    if found.kind == "histogram":
        return f"{name}_count"
    return f"{name}_total" if found.kind == "counter" else name


def label(key: str) -> str:
    """An attribute key as a label: `service.namespace` is `service_namespace`."""
    return "".join(sign if sign.isalnum() or sign == "_" else "_" for sign in key)


def _registry() -> dict[str, Metric]:
    return {value.name: value for value in vars(metrics).values() if isinstance(value, Metric)}
