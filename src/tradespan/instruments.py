"""The registry's instruments, made when their room is first opened, and kept within its bounds."""

from __future__ import annotations

import functools
import itertools
import math
import os
import threading
from collections.abc import Iterable, Mapping
from dataclasses import replace
from enum import Enum
from importlib.metadata import version
from typing import Any

from opentelemetry import metrics as api

from tradespan import guard, readings
from tradespan import settings as setting
from tradespan.semconv import metrics as registry
from tradespan.semconv.attributes import ENUMS, LIMITS, SYMBOLS
from tradespan.semconv.model import Metric

OTHER = "other"
_ZEROS_AT_MOST = 64
_DECLARED_AT_MOST = 1000
_LONGEST = 128  # characters of a label's value
_RISING = ("counter", "histogram")

_instruments: dict[str, Any] = {}
_seen: dict[str, set[str]] = {}
_known: dict[str, tuple[str, ...]] = {}
_lock = threading.RLock()


def open_room(room: str) -> None:
    """Create the instruments of a room; its counters stand at 0 for each declared combination."""
    with _lock:
        for metric in registry.METRICS:
            if metric.room == room and metric.name not in _instruments:
                _instruments[metric.name] = _create(metric)
                _zero(metric)


def declare(room: str, **known: Iterable[str] | None) -> None:
    """Open a room and let its counters stand at 0 for these values of open attributes too.

    Arguments:
        room: of the registry.
        known: values by attribute, such as the tickers that will be traded; within its limit. A
            text is one value, None is none.
    """
    open_room(room)
    words = {key: [of] if isinstance(of, str) else [*(of or ())] for key, of in known.items()}
    for metric in registry.METRICS:
        if metric.room == room and metric.kind == "counter" and words.keys() & {*metric.attributes}:
            for values in itertools.islice(_combinations(metric, words), _DECLARED_AT_MOST):
                record(metric, 0, values)


def made(template: Metric, name: str) -> Metric:
    """The metric that a template stands for.

    Arguments:
        template: of the registry.
        name: ends the metric's name; lower case letters, digits and underscores.
    """
    return replace(template, name=f"{template.name}_{name}", template=None)


def record(
    metric: Metric,
    value: Any,
    attributes: Mapping[str, Any] | None = None,
    site: str = "instruments.record",
    *,
    onto: bool = False,
) -> None:
    """Record one value of a metric, opening its room if need be.

    Arguments:
        metric: of the registry.
        value: in the metric's unit; added by counters, recorded by histograms, set by gauges. What
            `number` refuses is left out.
        attributes: its metric attributes; undeclared values and those over a limit become `other`,
            keys that the metric does not declare are left out.
        site: where a refused value is counted.
        onto: add it to a gauge's last value instead.

    What is observed is asked for its value: a gauge gives what was recorded, unless it is told from
    elsewhere; for others recording does nothing.
    """
    gauge = metric.kind == "gauge"
    if metric.observed and not gauge:
        return
    found = number(metric, value, site)
    if found is None:
        return
    instrument = _instruments.get(metric.name) or _opened(metric)
    bounded = bound(metric, attributes) if metric.attributes else {}
    if gauge:
        readings.keep(metric, bounded, found, instrument, onto=onto)
    elif metric.kind == "histogram":
        instrument.record(found, bounded)
    else:
        instrument.add(found, bounded)


def number(metric: Metric, value: Any, site: str) -> float | None:
    """The value as the metric takes it; None, counted as a failure at `site`, where it cannot.

    It cannot be what is no finite number, nor below 0 where only more can come: NaN in a sum makes
    all of it NaN, for ever. It is a float, as one large int would end the export of all metrics.
    Never raises.
    """
    try:
        found = float(value)
    except Exception:  # a type of the service's own raises what it likes
        found = math.nan
    if math.isfinite(found) and (found >= 0 or metric.kind not in _RISING):
        return found
    kind = type(value).__name__
    guard.failed(site, ValueError(f"{metric.name} cannot take {found:g} (of a {kind})"))
    if registry.TRADESPAN_TELEMETRY_FAILURES.name not in _instruments:
        open_room(registry.TRADESPAN_TELEMETRY_FAILURES.room)
    return None


def bound(metric: Metric, attributes: Mapping[str, Any] | None) -> dict[str, str]:
    """The metric's attributes, each a declared value or within its limit of distinct values."""
    given = attributes or {}
    return {key: _within(metric, key, given.get(key)) for key in metric.attributes}


def know(attribute: str, *values: str) -> None:
    """Name values of an open attribute that counters shall stand at 0 for, such as the pipeline."""
    _known[attribute] = values


def reset() -> None:
    """Forget every instrument and value seen; for tests and for a new provider."""
    with _lock:
        _instruments.clear()
        _seen.clear()
        readings.reset()
        _meter.cache_clear()


def _opened(metric: Metric) -> Any:
    """The instrument of a metric whose room, or whose own declaration, was not there before."""
    with _lock:
        open_room(metric.room)
        if metric.name not in _instruments:
            _instruments[metric.name] = _create(metric)
        return _instruments[metric.name]


def _within(metric: Metric, key: str, value: Any) -> str:
    text = value if type(value) is str else text_of(value)
    declared = metric.values.get(key) or ENUMS.get(key)
    if declared is not None:
        if text not in declared and len(text) <= _LONGEST:
            text = text.strip().lower()
        return text if text in declared else OTHER if value is None else overflow(key)
    seen = _seen.setdefault(key, set())
    if text in seen:
        return text
    if len(text) > _LONGEST or not text.isascii():
        text = text.encode("utf-8", "replace").decode()  # what no exporter could encode
    with _lock:
        if len(text) > _LONGEST or (text not in seen and len(seen) >= _limit(key)):
            return overflow(key)
        seen.add(text)
    return text


def text_of(value: Any) -> str:
    """A label's value as text: enums by their value, None as nothing."""
    value = value.value if isinstance(value, Enum) else value
    return "" if value is None else str(value)


def _limit(key: str) -> int:
    """The most distinct values of an attribute; of symbols as many as the user says."""
    return setting.current.symbol_limit if key in SYMBOLS else LIMITS.get(key, 0)


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
        ask = [functools.partial(readings.ask, metric)]
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


def _zero(metric: Metric) -> None:
    """Let a counter begin at 0, so that `increase()` sees its first event."""
    if metric.kind in ("counter", "updowncounter") and not metric.observed:
        for values in itertools.islice(_combinations(metric, {}), _ZEROS_AT_MOST):
            _instruments[metric.name].add(0.0, values)


def _combinations(metric: Metric, known: Mapping[str, list[Any]]) -> Iterable[dict[str, str]]:
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


readings.observe(
    registry.TRADESPAN_TELEMETRY_FAILURES,
    lambda: {(site,): times for site, times in dict(guard.failures).items()},
)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
