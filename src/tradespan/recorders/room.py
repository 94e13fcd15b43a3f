"""What the recorders of one room share: opened at first use, guarded, with numbers that hold."""

from __future__ import annotations

import functools
import os
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, Self

from tradespan import guard as guards
from tradespan import instruments, readings
from tradespan import settings as setting
from tradespan.decorate import Managed
from tradespan.semconv.metrics import TRADESPAN_TELEMETRY_OVERFLOW
from tradespan.semconv.model import Metric
from tradespan.settings.values import SWITCH


class Room:
    """A room of the registry.

    Arguments:
        name: as the registry has it.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.guard = guards.guard(f"recorders.{name}")

    def open(self, **known: Iterable[str] | None) -> None:
        """Create the instruments; counters stand at 0 for every declared combination.

        Arguments:
            known: values by attribute that shall stand at 0 too, such as the tickers traded; a text
                is one value.
        """
        with self.guard:
            if setting.current.enabled:
                instruments.open_room(TRADESPAN_TELEMETRY_OVERFLOW.room)
                instruments.declare(self.name, **known)

    def record(self, metric: Metric, value: Any, *, onto: bool = False, **labels: Any) -> None:
        """Record a number, None not at all. Never raises.

        What is no finite number, or falls where it must rise, is left out and counted in
        `tradespan.telemetry.failures`.

        Arguments:
            metric: of the room.
            value: in the metric's unit.
            onto: add it to a gauge's last value.
            labels: by attribute.
        """
        with self.guard:
            if value is not None and setting.current.enabled:
                instruments.record(metric, value, labels, self.guard.site, onto=onto)

    def number(self, metric: Metric, value: Any) -> float | None:
        """The value as the metric takes it; None, counted as a failure, where it cannot."""
        return instruments.number(metric, value, self.guard.site)

    def truth(self, value: Any) -> bool | None:
        """Yes or no, by a word too; None, counted as a failure, where a text is no such word."""
        if isinstance(value, bytes):
            value = value.decode("utf-8", "replace")
        if not isinstance(value, str):
            return None if value is None else bool(value)
        found = SWITCH.get(value.strip().lower())
        if found is None:
            self.refuse(f"neither yes nor no: {value[:40]!r}")
        return found

    def refuse(self, why: str) -> None:
        """Count a failure, where it can be seen."""
        guards.failed(self.guard.site, ValueError(why))
        instruments.open_room(TRADESPAN_TELEMETRY_OVERFLOW.room)

    def status(self, metric: Metric, on: Any) -> None:
        """Set a gauge to 1 or 0, by a word too, None not at all. Never raises."""
        with self.guard:
            self.record(metric, self.truth(on))


class Timer(Managed):
    """Times a block, for `with` and `async with`, or each call of what it decorates.

    By the monotonic clock, and once.

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

    def end(self, error: BaseException | None = None) -> None:
        """Tell the time, once. Never raises."""
        started, self._started = self._started, None
        with self._guard:
            if started is not None:
                self._ended(time.perf_counter() - started, error)


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
        self._totals = dict.fromkeys((metric.name for metric in counted), 0.0)
        self._lock = threading.Lock()
        for metric in counted:
            readings.observe(metric, functools.partial(self._observed, metric))
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
        self._totals = dict.fromkeys(self._totals, 0.0)

    def _change(self, metric: Metric, value: Any, keep: int) -> None:
        with self._room.guard:
            if value is None or not setting.current.enabled:
                return
            instruments.open_room(self._room.name)
            number = self._room.number(metric, value)
            if number is not None:
                with self._lock:
                    self._totals[metric.name] = keep * self._totals[metric.name] + number

    def _observed(self, metric: Metric) -> dict[tuple[str, ...], float]:
        return {(): self._totals[metric.name]}
