"""Uptime and connections, as they are exported."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tradespan import guard
from tradespan.recorders import system


@pytest.fixture(autouse=True)
def _forget(telemetry: object) -> None:
    """No uptime of another test."""
    system._began.clear()


def test_the_uptime_goes_on_by_itself(telemetry: Any) -> None:
    """From the start of the process, or from where it was told."""
    system.open()
    first = telemetry.last("system_uptime")
    time.sleep(0.02)
    assert telemetry.last("system_uptime") >= first + 0.02
    system.update(uptime_seconds=3600)
    assert 3600 <= telemetry.last("system_uptime") < 3610


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells it")
def test_the_uptime_is_that_of_the_process() -> None:
    """However late the room is opened."""
    code = (
        "import time; time.sleep(0.5)\n"
        "from tradespan.recorders import system\n"
        "system.open(); print(system._uptime()[()])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 0.5 <= float(done.stdout) < 60


def test_where_the_system_tells_no_start_it_begins_with_the_room(
    telemetry: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on Windows, which has no /proc."""
    monkeypatch.setattr(system, "Path", lambda _: Path("/nowhere"))
    system.open()
    assert 0 <= telemetry.last("system_uptime") < 5


def test_the_wall_clock_does_not_matter(telemetry: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that jumps, forward or back, does not move the uptime."""
    system.open()
    before = telemetry.last("system_uptime")
    for jump in (-1e9, 1e9):
        monkeypatch.setattr(time, "time", lambda jump=jump: 1.7e9 + jump)
        assert before <= telemetry.last("system_uptime") < before + 60


@pytest.mark.parametrize("told", [float("nan"), float("inf"), "soon"])
def test_an_uptime_that_is_no_number_is_passed_over(telemetry: Any, told: Any) -> None:
    """It is counted as a failure; the uptime goes on."""
    system.update(uptime_seconds=50_000)
    system.update(uptime_seconds=told)
    assert 50_000 <= telemetry.last("system_uptime") < 50_060
    assert guard.failures["recorders.system"] == 1


def test_connections(telemetry: Any) -> None:
    """1 or 0; what is None stays as it is."""
    system.update(timescale_connected=True, redis_connected=False)
    system.update(timescale_connected=None)
    assert telemetry.last("timescale_connection_status") == 1
    assert telemetry.last("redis_connection_status") == 0
