"""The 24 metrics of AI agents and portfolios as objects, in the manner of prometheus_client.

They take what prometheus_client takes and raise nothing: a label that a metric does not have is
left out and counted in `tradespan.telemetry.failures`.
"""

from __future__ import annotations

import threading
import time
from typing import Any, Self

from tradespan import guard as guards
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
                error = ValueError(f"{self._metric.name} has the labels {', '.join(keys) or '-'}")
                guards.failed(self._room.guard.site, error)
            return type(self)(self._metric, {k: v for k, v in given.items() if k in keys})
        return self

    def _record(self, value: Any) -> None:
        self._room.record(self._metric, value, **self._labels)


class Counter(_Object):
    """Counts up."""

    def inc(self, amount: float = 1, exemplar: object = None) -> None:  # noqa: ARG002
        """Add an amount, not negative; exemplars are the SDK's own affair. Never raises."""
        self._record(amount)


class Gauge(_Object):
    """Is set; the catalogue's have no labels."""

    def __init__(self, metric: Metric, labels: dict[str, Any] | None = None) -> None:
        super().__init__(metric, labels)
        self._value = 0.0
        self._lock = threading.Lock()

    def set(self, value: float) -> None:
        """Set it. Never raises."""
        with self._room.guard:
            number = self._room.number(self._metric, value)
            if number is not None:
                with self._lock:
                    self._value = number
                self._record(number)

    def inc(self, amount: float = 1) -> None:
        """Add to what was set by this object, 0 at first. Never raises."""
        with self._room.guard:
            self.set(self._value + amount)

    def dec(self, amount: float = 1) -> None:
        """Take from what was set by this object, 0 at first. Never raises."""
        with self._room.guard:
            self.set(self._value - amount)

    def set_to_current_time(self) -> None:
        """Set it to seconds since the epoch. Never raises."""
        self.set(time.time())


class Uptime(Gauge):
    """The uptime, which goes on by itself from where it was set."""

    def _record(self, value: Any) -> None:
        system.update(uptime_seconds=value)


class Histogram(_Object):
    """Holds a distribution."""

    def observe(self, amount: float, exemplar: object = None) -> None:  # noqa: ARG002
        """Record an amount, not negative. Never raises."""
        self._record(amount)

    def time(self) -> Timer:
        """Record the seconds of a block: `with ....time():`, or `async with`."""
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
