"""The 24 metrics of AI agents and portfolios as objects, in the manner of prometheus_client.

They have the methods by which a service records, and raise nothing: a label that a metric does not
have is left out, and what has no counterpart in OpenTelemetry (`remove`, `clear`, `reset`,
`set_function`) does nothing; both are counted in `tradespan.telemetry.failures`.
"""

from __future__ import annotations

import time
from typing import Any, Self

from tradespan.recorders import system
from tradespan.recorders.room import Room, Timer
from tradespan.semconv import metrics
from tradespan.semconv.model import Metric


class _Object:
    """A metric, or one of its label sets."""

    def __init__(self, metric: Metric, labels: dict[str, Any] | None = None) -> None:
        self._metric, self._labels = metric, labels or {}
        self._room = Room(metric.room)

    def labels(self, *values: Any, **labels: Any) -> Self:
        """The metric with these label values, by position or by name. Never raises."""
        with self._room.guard:
            keys = self._metric.attributes
            given = {**dict(zip(keys, values, strict=False)), **labels}
            if set(given) != set(keys) or len(values) > len(keys):
                self._room.refuse(f"{self._metric.name} has the labels {', '.join(keys) or '-'}")
            return type(self)(self._metric, {k: v for k, v in given.items() if k in keys})
        return self

    def remove(self, *labels: Any) -> None:  # noqa: ARG002
        """Nothing, and counted: its series go on. Never raises."""
        self._without("remove")

    def remove_by_labels(self, labels: object) -> None:  # noqa: ARG002
        """Nothing, and counted: its series go on. Never raises."""
        self._without("remove_by_labels")

    def clear(self) -> None:
        """Nothing, and counted: its series go on. Never raises."""
        self._without("clear")

    def _record(self, value: Any, *, onto: bool = False) -> None:
        self._room.record(self._metric, value, onto=onto, **self._labels)

    def _without(self, method: str) -> None:
        with self._room.guard:
            self._room.refuse(f"{self._metric.name} goes on: OpenTelemetry has no {method}")


class Counter(_Object):
    """Counts up."""

    def inc(self, amount: float = 1, exemplar: object = None) -> None:  # noqa: ARG002
        """Add an amount, not negative; exemplars are the SDK's own affair. Never raises."""
        self._record(amount)

    def count_exceptions(self, exception: Any = Exception) -> Timer:
        """Count the exceptions that leave a block, or each call of a decorated function.

        Arguments:
            exception: its class, or a tuple of classes.
        """
        return Timer(
            self._room.guard, lambda _, e: self.inc() if isinstance(e, exception) else None
        )

    def reset(self) -> None:
        """Nothing, and counted: it only rises. Never raises."""
        self._without("reset")


class Gauge(_Object):
    """Is set; the catalogue's have no labels."""

    def set(self, value: float) -> None:
        """Set it. Never raises."""
        self._record(value)

    def inc(self, amount: float = 1) -> None:
        """Add to its last value, whoever set that; to 0 at first. Never raises."""
        self._record(amount, onto=True)

    def dec(self, amount: float = 1) -> None:
        """Take from its last value, whoever set that; from 0 at first. Never raises."""
        with self._room.guard:
            number = self._room.number(self._metric, amount)
            self.inc(0.0 if number is None else -number)

    def set_to_current_time(self) -> None:
        """Set it to seconds since the epoch. Never raises."""
        self.set(time.time())

    def set_function(self, f: object) -> None:  # noqa: ARG002
        """Nothing, and counted: set it where it changes. Never raises.

        A function of the service would be called while the SDK collects and holds its locks.
        """
        self._without("set_function")

    def time(self) -> Timer:
        """Set it to the seconds of a block, or of each call of a decorated function."""
        return Timer(self._room.guard, lambda seconds, _: self.set(seconds))

    def track_inprogress(self) -> Timer:
        """Add 1 while a block goes on, or a call of a decorated function."""
        return _InProgress(self)


class _InProgress(Timer):
    def __init__(self, gauge: Gauge) -> None:
        super().__init__(gauge._room.guard, lambda *_: gauge.dec())
        self._gauge = gauge

    def __enter__(self) -> Self:
        self._gauge.inc()
        return super().__enter__()


class Uptime(Gauge):
    """The uptime, which goes on by itself from where it was set; `inc` adds to what was set."""

    _told = 0.0

    def _record(self, value: Any, *, onto: bool = False) -> None:
        with self._room.guard:
            number = self._room.number(self._metric, value)
            if number is not None:
                self._told = number + self._told if onto else number
                system.update(uptime_seconds=self._told)


class Histogram(_Object):
    """Holds a distribution."""

    def observe(self, amount: float, exemplar: object = None) -> None:  # noqa: ARG002
        """Record an amount, not negative. Never raises."""
        self._record(amount)

    def time(self) -> Timer:
        """Record the seconds of a block, or of each call of a decorated function."""
        return Timer(self._room.guard, lambda seconds, _: self._record(seconds))


AGENT_ANALYSES_TOTAL = Counter(metrics.AGENT_ANALYSES)
AGENT_DECISIONS_TOTAL = Counter(metrics.AGENT_DECISIONS)
AI_API_REQUESTS_TOTAL = Counter(metrics.AI_API_REQUESTS)
AI_API_COST_USD_TOTAL = Counter(metrics.AI_API_COST)
AI_API_LATENCY_SECONDS = Histogram(metrics.AI_API_LATENCY)
AGENT_CONVICTION_SCORE = Histogram(metrics.AGENT_CONVICTION_SCORE)

CACHE_HITS_TOTAL = Counter(metrics.CACHE_HITS)
CACHE_MISSES_TOTAL = Counter(metrics.CACHE_MISSES)
CACHE_HIT_RATE = Gauge(metrics.CACHE_HIT_RATE)
FEATURE_CALCULATION_LATENCY_SECONDS = Histogram(metrics.FEATURE_CALCULATION_LATENCY)
FEATURE_STORE_QUERY_LATENCY_SECONDS = Histogram(metrics.FEATURE_STORE_QUERY_LATENCY)

TRADES_TOTAL = Counter(metrics.TRADES)
CURRENT_POSITIONS_COUNT = Gauge(metrics.CURRENT_POSITIONS_COUNT)
PORTFOLIO_TOTAL_VALUE = Gauge(metrics.PORTFOLIO_TOTAL_VALUE)
PORTFOLIO_CASH = Gauge(metrics.PORTFOLIO_CASH)
DAILY_PNL = Gauge(metrics.DAILY_PNL)
TOTAL_RETURN_PCT = Gauge(metrics.TOTAL_RETURN_PCT)

KILL_SWITCH_STATUS = Gauge(metrics.KILL_SWITCH_STATUS)
CONSTITUTION_VIOLATIONS_TOTAL = Counter(metrics.CONSTITUTION_VIOLATIONS)
CONSTITUTION_CHECKS_TOTAL = Counter(metrics.CONSTITUTION_CHECKS)
MAX_DRAWDOWN_PCT = Gauge(metrics.MAX_DRAWDOWN_PCT)

SYSTEM_UPTIME_SECONDS = Uptime(metrics.SYSTEM_UPTIME)
TIMESCALE_CONNECTION_STATUS = Gauge(metrics.TIMESCALE_CONNECTION_STATUS)
REDIS_CONNECTION_STATUS = Gauge(metrics.REDIS_CONNECTION_STATUS)
