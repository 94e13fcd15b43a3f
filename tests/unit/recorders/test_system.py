"""Uptime and connections, as they are exported."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tradespan import guard
from tradespan.recorders import system


def test_the_uptime_goes_on_by_itself(telemetry: Any) -> None:
    """From the opening of the room, or from where it was told."""
    system.open()
    first = telemetry.last("system_uptime")
    time.sleep(0.02)
    assert telemetry.last("system_uptime") >= first + 0.02
    system.update(uptime_seconds=3600)
    assert 3600 <= telemetry.last("system_uptime") < 3610


def test_the_wall_clock_does_not_matter(telemetry: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that jumps, forward or back, does not move the uptime."""
    system.open()
    for jump in (-1e9, 1e9):
        monkeypatch.setattr(time, "time", lambda jump=jump: 1.7e9 + jump)
        assert 0 <= telemetry.last("system_uptime") < 5


@pytest.mark.parametrize("told", [float("nan"), float("inf"), "soon"])
def test_an_uptime_that_is_no_number_is_passed_over(telemetry: Any, told: Any) -> None:
    """It is counted as a failure; the uptime goes on."""
    system.update(uptime_seconds=told)
    assert 0 <= telemetry.last("system_uptime") < 5
    assert guard.failures["recorders.system"] == 1


def test_connections(telemetry: Any) -> None:
    """1 or 0; what is None stays as it is."""
    system.update(timescale_connected=True, redis_connected=False)
    system.update(timescale_connected=None)
    assert telemetry.last("timescale_connection_status") == 1
    assert telemetry.last("redis_connection_status") == 0
