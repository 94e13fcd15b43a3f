"""The catalogue's metrics that no stage feeds by itself: calls, values and counts, by name."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Self, TypeVar

from tradespan import instruments
from tradespan import settings as setting
from tradespan.decorate import Managed
from tradespan.guard import guard
from tradespan.semconv.metrics import CALLS, COUNTS, VALUES, CallName, CountName, ValueName
from tradespan.semconv.model import Metric
from tradespan.settings import ConfigError

F = TypeVar("F", bound=Callable[..., Any])
_RECORD = guard("call.record")


class Call(Managed):
    """A timed call as a context manager (`with`, `async with`) and as a decorator.

    Arguments:
        metric: histogram of seconds that it records, whether the call succeeds or not.
    """

    def __init__(self, metric: Metric) -> None:
        self._metric = metric
        self._started: int | None = None

    def __enter__(self) -> Self:
        self._started = time.perf_counter_ns()
        return self

    def end(self, error: BaseException | None = None) -> None:  # noqa: ARG002 - as a stage's
        """Record the time, once. Never raises."""
        with _RECORD:
            started, self._started = self._started, None
            if started is not None and setting.current.enabled:
                seconds = (time.perf_counter_ns() - started) / 1e9
                instruments.record(self._metric, seconds, site=_RECORD.site)


def call(name: CallName) -> Call:
    """Time a call into the catalogue's metric of this name.

    Raises:
        ConfigError: there is no such name.
    """
    return Call(_named(CALLS, "call", name))


def value(name: ValueName, number: float, **attributes: str) -> None:
    """Set a gauge of the catalogue.

    Arguments:
        number: in the metric's unit.
        attributes: its labels.

    Raises:
        ConfigError: there is no such name.
    """
    metric = _named(VALUES, "value", name)
    with _RECORD:
        _record(metric, number, attributes)


def count(name: CountName, amount: int = 1, **attributes: str) -> None:
    """Add to a counter of the catalogue.

    Arguments:
        amount: not negative.
        attributes: its labels.

    Raises:
        ConfigError: there is no such name.
    """
    metric = _named(COUNTS, "count", name)
    with _RECORD:
        _record(metric, amount, attributes)


def _record(metric: Metric, value: object, attributes: dict[str, str]) -> None:
    if setting.current.enabled:
        instruments.record(metric, value, attributes, _RECORD.site)


def _named(known: dict[str, Metric], kind: str, name: str) -> Metric:
    if not isinstance(name, str) or name not in known:
        raise ConfigError(f"tradespan.{kind}", name, f"one of {', '.join(sorted(known))}")
    return known[name]
