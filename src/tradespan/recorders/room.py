"""What the recorders of one room share: opened at first use, guarded, with numbers that hold."""

from __future__ import annotations

import functools
import os
import threading
import time
from collections.abc import Callable, Iterable
from enum import Enum
from typing import Any, Self

from tradespan import guard as guards
from tradespan import instruments
from tradespan import journey as journeys
from tradespan.semconv.attributes import ENUMS
from tradespan.semconv.metrics import TRADESPAN_TELEMETRY_OVERFLOW
from tradespan.semconv.model import Metric


class Room:
    """A room of the registry.

    Arguments:
        name: as the registry has it.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.guard = guards.guard(f"recorders.{name}")

    def open(self, **known: Iterable[str]) -> None:
        """Create the instruments; counters stand at 0 for every declared combination.

        Arguments:
            known: values by attribute that shall stand at 0 too, such as the tickers traded.
        """
        with self.guard:
            if journeys.settings.enabled:
                instruments.open_room(TRADESPAN_TELEMETRY_OVERFLOW.room)
                instruments.declare(self.name, **known)

    def record(self, metric: Metric, value: Any, **labels: Any) -> None:
        """Record a number, None not at all. Never raises.

        What is no finite number, or falls where it must rise, is left out and counted in
        `tradespan.telemetry.failures`.
        """
        with self.guard:
            if value is None or not journeys.settings.enabled:
                return
            number = self.number(metric, value)
            if number is not None:
                words = {key: _word(metric, key, given) for key, given in labels.items()}
                instruments.record(metric, number, words)

    def number(self, metric: Metric, value: Any) -> float | None:
        """The value as the metric takes it; None, counted as a failure, where it cannot."""
        return instruments.number(metric, value, self.guard.site)

    def status(self, metric: Metric, on: bool | None) -> None:
        """Set a gauge to 1 or 0, None not at all. Never raises."""
        with self.guard:
            self.record(metric, None if on is None else int(bool(on)))


class Timer:
    """Times a block, for `with` and `async with`; by the monotonic clock, and once.

    Arguments:
        guard: of the room.
        ended: is told the seconds, and the exception that ended the block.
    """

    def __init__(
        self, guard: guards.guard, ended: Callable[[float, BaseException | None], None]
    ) -> None:
        self._guard, self._ended = guard, ended
        self._started: float | None = None

    def __enter__(self) -> Self:
        self._started = time.perf_counter()
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        started, self._started = self._started, None
        with self._guard:
            if started is not None:
                self._ended(time.perf_counter() - started, error)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self.__exit__(kind, error, trace)


class Totals:
    """Numbers that are counted here, or set to a total which somebody else counts.

    They are asked for when they are exported, so that nothing is lost which was counted before the
    SDK was there. A forked worker counts its own.

    Arguments:
        room: that they belong to.
        counted: observed metrics of the registry.
    """

    def __init__(self, room: Room, *counted: Metric) -> None:
        self._room = room
        self._totals: dict[str, float] = dict.fromkeys((metric.name for metric in counted), 0)
        self._lock = threading.Lock()
        for metric in counted:
            instruments.observe(metric, functools.partial(self._observed, metric))
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self.forget)

    def add(self, metric: Metric, value: Any = 1) -> None:
        """Add to it. Never raises."""
        self._change(metric, value, keep=1)

    def set(self, metric: Metric, total: Any) -> None:
        """Bring it to this total, None not at all. Never raises."""
        self._change(metric, total, keep=0)

    def forget(self) -> None:
        """Begin at 0 again."""
        self._lock = threading.Lock()  # another thread may have held it when we were forked
        self._totals = dict.fromkeys(self._totals, 0)

    def _change(self, metric: Metric, value: Any, keep: int) -> None:
        with self._room.guard:
            if value is None or not journeys.settings.enabled:
                return
            instruments.open_room(self._room.name)
            number = self._room.number(metric, value)
            if number is not None:
                with self._lock:
                    self._totals[metric.name] = keep * self._totals[metric.name] + number

    def _observed(self, metric: Metric) -> dict[tuple[str, ...], float]:
        return {(): self._totals[metric.name]}


def _word(metric: Metric, key: str, value: Any) -> Any:
    """A label as the registry writes it: enums by their value, declared words in lower case."""
    value = value.value if isinstance(value, Enum) else value
    if isinstance(value, str) and (key in metric.values or key in ENUMS):
        return value.strip().lower() if len(value) < 64 else value
    return value
