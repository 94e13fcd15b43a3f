"""The registry's instruments, made when their room is first opened, and kept within its bounds."""

from __future__ import annotations

import functools
import itertools
import threading
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from typing import Any

from opentelemetry import metrics as api

from tradespan import guard
from tradespan.semconv import metrics as registry
from tradespan.semconv.attributes import ENUMS, LIMITS
from tradespan.semconv.model import Metric

OTHER = "other"
_ZEROS_AT_MOST = 64

_instruments: dict[str, Any] = {}
_seen: dict[str, set[str]] = {}
_limits: dict[str, int] = dict(LIMITS)
_known: dict[str, tuple[str, ...]] = {}
_lock = threading.RLock()


def open_room(room: str) -> None:
    """Create the instruments of a room; its counters stand at 0 for each declared combination."""
    with _lock:
        for metric in registry.METRICS:
            if metric.room == room and metric.name not in _instruments:
                _instruments[metric.name] = _create(metric)
                _zero(metric)


def record(metric: Metric, value: float, attributes: Mapping[str, Any] | None = None) -> None:
    """Record one value of a metric, opening its room if need be.

    Arguments:
        metric: of the registry.
        value: in the metric's unit; added by counters, recorded by histograms, set by gauges.
        attributes: its metric attributes; undeclared values and those over a limit become `other`,
            keys that the metric does not declare are left out.
    """
    instrument = _instruments.get(metric.name)
    if instrument is None:
        open_room(metric.room)
        instrument = _instruments[metric.name]
    bounded = bound(metric, attributes) if metric.attributes else None
    if metric.kind == "histogram":
        instrument.record(value, bounded)
    elif metric.kind == "gauge":
        instrument.set(value, bounded)
    else:
        instrument.add(value, bounded)


def bound(metric: Metric, attributes: Mapping[str, Any] | None) -> dict[str, str]:
    """The metric's attributes, each a declared value or within its limit of distinct values."""
    given = attributes or {}
    return {key: _within(metric, key, given.get(key)) for key in metric.attributes}


def limit(attribute: str, distinct: int) -> None:
    """Set the most distinct values of a metric attribute in this process."""
    _limits[attribute] = distinct


def know(attribute: str, *values: str) -> None:
    """Name values of an open attribute that counters shall stand at 0 for, such as the pipeline."""
    _known[attribute] = values


def reset() -> None:
    """Forget every instrument and value seen; for tests and for a new provider."""
    with _lock:
        _instruments.clear()
        _seen.clear()
        _meter.cache_clear()


def _within(metric: Metric, key: str, value: Any) -> str:
    text = "" if value is None else str(value)
    declared = metric.values.get(key) or ENUMS.get(key)
    if declared is not None:
        return text if text in declared else OTHER if value is None else _overflow(key)
    seen = _seen.setdefault(key, set())
    if text in seen:
        return text
    if len(seen) >= _limits.get(key, 0) or len(text) > 128:
        return _overflow(key)
    seen.add(text)
    return text


def _overflow(key: str) -> str:
    record(registry.TRADESPAN_TELEMETRY_OVERFLOW, 1, {"attribute": key})
    return OTHER


@functools.cache
def _meter() -> api.Meter:
    return api.get_meter("tradespan", version("tradespan"))


def _create(metric: Metric) -> Any:
    meter = _meter()
    if metric is registry.TRADESPAN_TELEMETRY_FAILURES:
        return meter.create_observable_counter(
            metric.name, [_failures], unit=metric.unit, description=metric.brief
        )
    if metric.kind == "histogram":
        return meter.create_histogram(
            metric.name,
            unit=metric.unit,
            description=metric.brief,
            explicit_bucket_boundaries_advisory=metric.boundaries,
        )
    create = {
        "counter": meter.create_counter,
        "updowncounter": meter.create_up_down_counter,
        "gauge": meter.create_gauge,
    }[metric.kind]
    return create(metric.name, unit=metric.unit, description=metric.brief)


def _failures(_: api.CallbackOptions) -> Iterable[api.Observation]:
    return [api.Observation(count, {"site": site}) for site, count in guard.failures.items()]


def _zero(metric: Metric) -> None:
    """Let a counter begin at 0, so that `increase()` sees its first event."""
    declared = [
        metric.values.get(key) or ENUMS.get(key) or _known.get(key, ()) for key in metric.attributes
    ]
    if metric.kind != "counter" or metric is registry.TRADESPAN_TELEMETRY_FAILURES:
        return
    combinations = itertools.product(*declared)
    for values in itertools.islice(combinations, _ZEROS_AT_MOST):
        _instruments[metric.name].add(0, dict(zip(metric.attributes, values, strict=True)))
