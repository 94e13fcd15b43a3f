"""What is read when it is exported: the last value of each gauge, and what is asked for its value.

A gauge has its last value here and nowhere else: a helper, an object and a thread move the same. In
a forked worker it has none before it is set there.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from opentelemetry.metrics import CallbackOptions, Observation

from tradespan import guard
from tradespan.semconv.model import Metric

At = tuple[str, ...]
"""The values of a metric's attributes, in their order."""

_ASK = guard.guard("instruments.ask")

_last: dict[str, dict[At, float]] = {}
_observed: dict[str, Callable[[], Mapping[At, float]]] = {}
_lock = threading.RLock()


def observe(metric: Metric, values: Callable[[], Mapping[At, float]]) -> None:
    """Say where an observed metric has its values from, before its room is opened.

    Arguments:
        metric: of the registry, declared as observed.
        values: gives them whenever they are exported, by the values of its attributes in their
            order, which the caller keeps within bounds; before what was kept of them.
    """
    _observed[metric.name] = values


def keep(
    metric: Metric, labels: Mapping[str, str], value: float, instrument: Any, *, onto: bool = False
) -> None:
    """Keep a value as a gauge's last one, and set its instrument where that is not asked later.

    Arguments:
        metric: a gauge of the registry.
        labels: its attributes in their order, within bounds.
        value: in the metric's unit, finite.
        instrument: of the metric.
        onto: add it to the last one, to 0 where there is none.
    """
    at = tuple(labels.values())
    with _lock:  # also while it is set: what was kept last is what shows
        series = _last.setdefault(metric.name, {})
        series[at] = last = value + series.get(at, 0.0) if onto else value
        if not metric.observed:
            instrument.set(last, labels)


def drop(metric: Metric, labels: Mapping[str, str]) -> None:
    """Forget the last value of an observed gauge, whose series ends with that."""
    with _lock:
        _last.get(metric.name, {}).pop(tuple(labels.values()), None)


def ask(metric: Metric, _: CallbackOptions) -> Iterable[Observation]:
    """What an observed metric exports now. Never raises."""
    with _ASK:
        told, keys = _observed.get(metric.name, dict)(), metric.attributes
        values = {**_last.get(metric.name, {}), **told}
        return [Observation(float(v), dict(zip(keys, at, strict=True))) for at, v in values.items()]
    return []


def reset() -> None:
    """Forget the last values; for tests, and for a forked child.

    Another thread may have held the lock when this process was forked.
    """
    global _lock
    _lock = threading.RLock()
    _last.clear()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=reset)
