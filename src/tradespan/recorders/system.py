"""Room `system`: how long the process runs, and what it is connected to."""

from __future__ import annotations

import os
import time

from tradespan import instruments
from tradespan.recorders.room import Room
from tradespan.semconv import metrics

_ROOM = Room(metrics.SYSTEM_UPTIME.room)
_began: dict[int, float] = {}
"""Monotonic clock at which a process, by its id, began: a forked worker has its own."""


def open() -> None:  # noqa: A001
    """Create the room's instruments; the uptime begins, where it is not told. Never raises."""
    _began.setdefault(os.getpid(), time.monotonic())
    _ROOM.open()


def update(
    *,
    uptime_seconds: float | None = None,
    timescale_connected: bool | None = None,
    redis_connected: bool | None = None,
) -> None:
    """Set what is known of the system; what is None stays as it is. Never raises.

    Arguments:
        uptime_seconds: since the service began; goes on by itself from there. Untold, it is
            counted from the room's opening.
        timescale_connected: whether TimescaleDB answers.
        redis_connected: whether Redis answers.
    """
    with _ROOM.guard:
        if uptime_seconds is not None:
            told = _ROOM.number(metrics.SYSTEM_UPTIME, uptime_seconds)
            if told is not None:
                _began[os.getpid()] = time.monotonic() - max(0.0, told)
    open()
    _ROOM.status(metrics.TIMESCALE_CONNECTION_STATUS, timescale_connected)
    _ROOM.status(metrics.REDIS_CONNECTION_STATUS, redis_connected)


def _uptime() -> dict[tuple[str, ...], float]:
    now = time.monotonic()
    return {(): now - _began.setdefault(os.getpid(), now)}


instruments.observe(metrics.SYSTEM_UPTIME, _uptime)
