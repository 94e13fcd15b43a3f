"""Room `system`: how long the process runs, and what it is connected to."""

from __future__ import annotations

import os
import time
from pathlib import Path

from tradespan import readings
from tradespan.recorders.room import Room
from tradespan.semconv import metrics

_ROOM = Room(metrics.SYSTEM_UPTIME.room)
_began: dict[int, float] = {}
"""Monotonic clock at which a process, by its id, began: a forked worker has its own."""


def open() -> None:  # noqa: A001
    """Create the room's instruments; the uptime is the process's, where it is not told otherwise.

    Never raises.
    """
    with _ROOM.guard:
        _uptime()
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
            counted from the start of the process, or from the room's opening on a system that does
            not tell it.
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
    now, process = time.monotonic(), os.getpid()
    if process not in _began:
        _began[process] = now - _age()
    return {(): now - _began[process]}


def _age() -> float:
    """Seconds since this process began; 0 where the system does not tell, as Linux does."""
    try:
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        began = int(fields[19]) / os.sysconf("SC_CLK_TCK")  # after the system's own start
        return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - began)
    except (AttributeError, OSError, ValueError, IndexError):
        return 0.0


readings.observe(metrics.SYSTEM_UPTIME, _uptime)
