"""What the recorders share: lazy import, opening, numbers, timers and totals."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tradespan import guard, readings, recorders
from tradespan import settings as setting
from tradespan.recorders.room import Room, Timer, Totals
from tradespan.semconv import metrics
from tradespan.settings import Settings

ROOM = Room("portfolio")


def test_a_recorder_is_imported_when_it_is_named() -> None:
    """`tradespan.recorders.portfolio` loads that room and no other, and no SDK."""
    code = (
        "import sys, tradespan.recorders as r\n"
        "assert not [m for m in sys.modules if m.endswith(('.portfolio', '.business'))"
        " and 'semconv' not in m]\n"
        "r.portfolio.update(cash=1)\n"
        "assert 'tradespan.recorders.portfolio' in sys.modules\n"
        "assert 'tradespan.recorders.business' not in sys.modules\n"
        "assert not [m for m in sys.modules if m.startswith('opentelemetry.sdk')]\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_there_is_no_other_recorder() -> None:
    """A name that is none is an AttributeError, as for any module."""
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        recorders.nothing  # noqa: B018
    assert sorted(recorders.__all__) == recorders.__all__
    for name in recorders.__all__:
        assert getattr(recorders, name).__doc__


def test_nothing_is_there_before_a_room_is_opened(telemetry: Any) -> None:
    """And opening one opens no other."""
    import tradespan.recorders.business
    import tradespan.recorders.voice  # noqa: F401

    telemetry.metric("")
    assert telemetry.points == {}
    recorders.voice.open()
    telemetry.metric("")
    assert {name.rpartition("_")[0] for name in telemetry.points} >= {"trading_voice_total"}
    assert not [name for name in telemetry.points if name.startswith("business")]


@pytest.mark.parametrize("enabled", [True, False])
def test_switched_off_nothing_is_recorded(
    telemetry: Any, monkeypatch: pytest.MonkeyPatch, enabled: bool
) -> None:
    """TRADESPAN=off holds for the recorders too."""
    monkeypatch.setattr(setting, "current", Settings(enabled=enabled))
    recorders.portfolio.open(tickers=["AAPL"])
    recorders.portfolio.trade("AAPL", "buy", 1, 1)
    recorders.voice.open()
    recorders.voice.requested(1.0)
    recorders.system.update(redis_connected=True)
    recorders.agents.decision("AAPL", "buy")
    recorders.training.drift("nobody", 1)
    with recorders.agents.request("m", cost_usd=1):
        pass
    telemetry.metric("")
    assert bool(telemetry.points) is enabled


@pytest.mark.parametrize(
    "value",
    [float("nan"), float("inf"), -float("inf"), "many", object(), [1], 10**400, b"\xff"],
    ids=lambda v: f"{v!r:.10}",
)
@pytest.mark.parametrize(
    "metric", [metrics.PORTFOLIO_CASH, metrics.TRADES, metrics.AI_API_LATENCY], ids=lambda m: m.name
)
def test_what_is_no_number_is_left_out_and_counted(telemetry: Any, metric: Any, value: Any) -> None:
    """It raises nothing, spoils no sum, and is to be seen."""
    ROOM.record(metric, value)
    assert [p for p in telemetry.metric(metric.name) if p.value or p.count] == []
    assert telemetry.last("tradespan.telemetry.failures", site="recorders.portfolio") == 1


@pytest.mark.parametrize("metric", [metrics.TRADES, metrics.AI_API_LATENCY])
def test_what_rises_does_not_fall(telemetry: Any, metric: Any) -> None:
    """A negative amount is no amount, for counters and histograms."""
    ROOM.record(metric, -1, ticker="AAPL")
    assert [p for p in telemetry.metric(metric.name) if p.value or p.count] == []
    assert guard.failures["recorders.portfolio"] == 1


def test_a_timer_as_a_decorator(telemetry: Any) -> None:
    """Each call is timed, its error told; functions, coroutines and generators keep their kind."""
    seen: list[Any] = []
    timer = Timer(ROOM.guard, lambda seconds, error: seen.append((seconds >= 0, type(error))))

    @timer
    def plain(x: int) -> float:
        return 1 / x

    @timer
    async def later() -> str:
        await asyncio.sleep(0)
        return "done"

    @timer
    def several() -> Iterator[int]:
        yield from (1, 2)

    async def both() -> list[str]:
        return await asyncio.gather(later(), later())

    assert plain(2) == 0.5
    with pytest.raises(ZeroDivisionError):
        plain(0)
    assert asyncio.run(both()) == ["done", "done"]
    assert list(several()) == [1, 2]
    nothing = type(None)
    assert [kind for _, kind in seen] == [nothing, ZeroDivisionError, nothing, nothing, nothing]
    assert all(timed for timed, _ in seen)


def test_a_timer_counts_once(telemetry: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the monotonic clock: the wall clock may jump within the block."""
    seen: list[float] = []
    timer = Timer(ROOM.guard, lambda seconds, _: seen.append(seconds))
    with timer:
        monkeypatch.setattr(time, "time", lambda: -1e9)
        time.sleep(0.01)
    timer.__exit__(None, None, None)
    assert len(seen) == 1
    assert 0.01 <= seen[0] < 1


def test_a_failure_at_the_end_of_a_timer_stays_with_us(
    telemetry: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The block's own exception goes on, ours does not."""
    monkeypatch.setattr(guard, "strict", False)

    def fail(seconds: float, error: BaseException | None) -> None:
        raise RuntimeError

    with Timer(ROOM.guard, fail):
        pass
    with pytest.raises(KeyError), Timer(ROOM.guard, fail):
        raise KeyError
    assert guard.failures["recorders.portfolio"] == 2


def test_totals_take_numbers_only(telemetry: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is none leaves the total as it was."""
    monkeypatch.setattr(readings, "_observed", {})
    totals = Totals(Room("exchange"), metrics.TRADING_EXECUTED_TRADES)
    totals.add(metrics.TRADING_EXECUTED_TRADES, 2)
    for bad in (float("nan"), "many", float("inf")):
        totals.add(metrics.TRADING_EXECUTED_TRADES, bad)
        totals.set(metrics.TRADING_EXECUTED_TRADES, bad)
    totals.set(metrics.TRADING_EXECUTED_TRADES, None)
    assert telemetry.last("trading_executed_trades") == 2
    assert guard.failures["recorders.exchange"] == 6
