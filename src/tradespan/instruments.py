"""The registry's instruments, made when their room is first opened, and kept within its bounds."""

from __future__ import annotations

import functools
import itertools
import math
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from importlib.metadata import version
from typing import Any

from opentelemetry import metrics as api

from tradespan import guard
from tradespan.semconv import metrics as registry
from tradespan.semconv.attributes import ENUMS, LIMITS
from tradespan.semconv.model import Metric

OTHER = "other"
_ASK = guard.guard("instruments.ask")
_ZEROS_AT_MOST = 64
_DECLARED_AT_MOST = 1000
_LONGEST = 128  # characters of a label's value

_instruments: dict[str, Any] = {}
_seen: dict[str, set[str]] = {}
_limits: dict[str, int] = dict(LIMITS)
_known: dict[str, tuple[str, ...]] = {}
_observed: dict[str, Callable[[], Mapping[tuple[str, ...], float]]] = {}
_lock = threading.RLock()


def open_room(room: str) -> None:
    """Create the instruments of a room; its counters stand at 0 for each declared combination."""
    with _lock:
        for metric in registry.METRICS:
            if metric.room == room and metric.name not in _instruments:
                _instruments[metric.name] = _create(metric)
                _zero(metric)


def declare(room: str, **known: Iterable[str]) -> None:
    """Open a room and let its counters stand at 0 for these values of open attributes too.

    Arguments:
        room: of the registry.
        known: values by attribute, such as the tickers that will be traded; within its limit.
    """
    words = {key: [str(value) for value in values] for key, values in known.items()}
    open_room(room)
    for metric in registry.METRICS:
        if metric.room == room and metric.kind == "counter" and words.keys() & {*metric.attributes}:
            for values in itertools.islice(_combinations(metric, words), _DECLARED_AT_MOST):
                record(metric, 0, values)


def observe(metric: Metric, values: Callable[[], Mapping[tuple[str, ...], float]]) -> None:
    """Say where an observed metric has its values from, before its room is opened.

    Arguments:
        metric: of the registry, declared as observed.
        values: gives them whenever they are exported, by the values of its attributes in their
            order, which the caller keeps within bounds.
    """
    _observed[metric.name] = values


def made(template: Metric, name: str) -> Metric:
    """The metric that a template stands for.

    Arguments:
        template: of the registry.
        name: ends the metric's name; lower case letters, digits and underscores.
    """
    return replace(template, name=f"{template.name}_{name}", template=None)


def record(metric: Metric, value: float, attributes: Mapping[str, Any] | None = None) -> None:
    """Record one value of a metric, opening its room if need be.

    Arguments:
        metric: of the registry.
        value: in the metric's unit; added by counters, recorded by histograms, set by gauges.
        attributes: its metric attributes; undeclared values and those over a limit become `other`,
            keys that the metric does not declare are left out.

    What is observed is asked for its value instead; recording it does nothing.
    """
    if metric.observed:
        return
    instrument = _instruments.get(metric.name) or _opened(metric)
    bounded = bound(metric, attributes) if metric.attributes else None
    if metric.kind == "histogram":
        instrument.record(value, bounded)
    elif metric.kind == "gauge":
        instrument.set(value, bounded)
    else:
        instrument.add(value, bounded)


def number(metric: Metric, value: Any, site: str) -> float | None:
    """The value as the metric takes it; None, counted as a failure at `site`, where it cannot.

    It cannot be what is no finite number, nor below 0 where only more can come: NaN in a sum makes
    all of it NaN, for ever.
    """
    try:
        found = value if type(value) is int else float(value)
        finite = math.isfinite(found)
    except (ArithmeticError, TypeError, ValueError):
        finite = False
    if finite and (found >= 0 or metric.kind not in ("counter", "histogram")):
        return found
    guard.failed(site, ValueError(f"{metric.name} cannot take {value!r:.40}"))
    open_room(registry.TRADESPAN_TELEMETRY_FAILURES.room)
    return None


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


def _opened(metric: Metric) -> Any:
    """The instrument of a metric whose room, or whose own declaration, was not there before."""
    with _lock:
        open_room(metric.room)
        if metric.name not in _instruments:
            _instruments[metric.name] = _create(metric)
        return _instruments[metric.name]


def _within(metric: Metric, key: str, value: Any) -> str:
    text = "" if value is None else str(value)
    declared = metric.values.get(key) or ENUMS.get(key)
    if declared is not None:
        return text if text in declared else OTHER if value is None else overflow(key)
    seen = _seen.setdefault(key, set())
    if text in seen:
        return text
    if len(text) > _LONGEST or not text.isascii():
        text = text.encode("utf-8", "replace").decode()  # what no exporter could encode
    with _lock:
        if len(text) > _LONGEST or (text not in seen and len(seen) >= _limits.get(key, 0)):
            return overflow(key)
        seen.add(text)
    return text


def overflow(key: str) -> str:
    """Count a value that went over the limit of its attribute; what stands in its place."""
    record(registry.TRADESPAN_TELEMETRY_OVERFLOW, 1, {"attribute": key})
    return OTHER


@functools.cache
def _meter() -> api.Meter:
    return api.get_meter("tradespan", version("tradespan"))


def _create(metric: Metric) -> Any:
    meter = _meter()
    if metric.observed:
        create = {
            "counter": meter.create_observable_counter,
            "updowncounter": meter.create_observable_up_down_counter,
            "gauge": meter.create_observable_gauge,
        }[metric.kind]
        ask = [functools.partial(_ask, metric)]
        return create(metric.name, ask, unit=metric.unit, description=metric.brief)
    if metric.kind == "histogram":
        return meter.create_histogram(
            metric.name,
            unit=metric.unit,
            description=metric.brief,
            explicit_bucket_boundaries_advisory=metric.boundaries,
        )
    make = {
        "counter": meter.create_counter,
        "updowncounter": meter.create_up_down_counter,
        "gauge": meter.create_gauge,
    }[metric.kind]
    return make(metric.name, unit=metric.unit, description=metric.brief)


def _ask(metric: Metric, _: api.CallbackOptions) -> Iterable[api.Observation]:
    with _ASK:
        values, keys = _observed.get(metric.name, dict)(), metric.attributes
        return [api.Observation(v, dict(zip(keys, at, strict=True))) for at, v in values.items()]
    return []


def _zero(metric: Metric) -> None:
    """Let a counter begin at 0, so that `increase()` sees its first event."""
    if metric.kind in ("counter", "updowncounter") and not metric.observed:
        for values in itertools.islice(_combinations(metric, {}), _ZEROS_AT_MOST):
            _instruments[metric.name].add(0, values)


def _combinations(metric: Metric, known: Mapping[str, list[str]]) -> Iterable[dict[str, str]]:
    """Every combination of declared and known values of the metric's attributes."""
    words = [
        metric.values.get(key) or ENUMS.get(key) or known.get(key) or _known.get(key, ())
        for key in metric.attributes
    ]
    return (
        dict(zip(metric.attributes, values, strict=True)) for values in itertools.product(*words)
    )


def _after_fork() -> None:
    """Another thread may have held the lock when this process was forked."""
    global _lock
    _lock = threading.RLock()


observe(
    registry.TRADESPAN_TELEMETRY_FAILURES,
    lambda: {(site,): times for site, times in dict(guard.failures).items()},
)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
