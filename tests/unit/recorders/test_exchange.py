"""What came of the orders, as it is exported."""

from __future__ import annotations

from decimal import Decimal
from enum import Enum
from typing import Any

import pytest

from tradespan import guard
from tradespan.recorders import exchange


class Side(str, Enum):  # noqa: UP042 - as code before StrEnum has it
    """As trading code has it."""

    BUY = "BUY"


class Plain(Enum):
    """No text of itself."""

    SELL = "SELL"


NAMES = ("trading_executed_trades", "trading_win_trades", "trading_loss_trades")


def test_trades_won_and_lost(telemetry: Any) -> None:
    """One without profit or loss is neither."""
    exchange.executed(4)
    for profit in (12.5, 3, -2.5, 0):
        exchange.closed(profit)
    assert [telemetry.last(name) for name in NAMES] == [4, 2, 1]


@pytest.mark.parametrize("profit", [float("nan"), float("inf"), None, "much"])
def test_a_profit_that_is_no_number_is_counted_as_a_failure(telemetry: Any, profit: Any) -> None:
    """It is neither won nor lost; one that is written otherwise counts."""
    exchange.closed(profit)
    exchange.closed(Decimal("0.5"))
    assert [telemetry.last(name) for name in NAMES] == [0, 1, 0]
    assert guard.failures["recorders.exchange"] == 1


def test_totals_counted_elsewhere(telemetry: Any) -> None:
    """An exporter sets what it read, up or down."""
    exchange.totals(executed=100, won=60, lost=40)
    exchange.totals(executed=90)
    exchange.executed()
    assert [telemetry.last(name) for name in NAMES] == [91, 60, 40]


def test_all_of_it_begins_at_zero(telemetry: Any) -> None:
    """The totals, and each reason of a rejection."""
    exchange.open()
    assert [telemetry.last(name) for name in NAMES] == [0, 0, 0]
    reasons = {p.labels["reason"]: p.value for p in telemetry.metric("trading_orders_rejected")}
    assert reasons["balance"] == reasons["rate_limit"] == 0
    assert len(reasons) == 9


def test_rejections_by_reason(telemetry: Any) -> None:
    """A reason of the exchange's own is `other`, and shows as overflow."""
    exchange.rejected("balance")
    exchange.rejected("EC-4711: insufficient something")
    assert telemetry.total("trading_orders_rejected", reason="balance") == 1
    assert telemetry.total("trading_orders_rejected", reason="other") == 1
    assert telemetry.total("tradespan.telemetry.overflow", attribute="reason") == 1


@pytest.mark.parametrize(
    ("side", "expected", "filled", "bps"),
    [("buy", 100.0, 100.1, 10), ("SELL", 100.0, 99.9, 10), ("buy", 100.0, 99.0, 0),
     ("sell", 100.0, 101.0, 0), ("short", 100.0, 99.0, 100), ("cover", 100.0, 101.0, 100),
     (Side.BUY, 100.0, 101.0, 100), (Plain.SELL, 100.0, 99.0, 100), (" buy\n", 100.0, 101.0, 100),
     ("buy", Decimal(100), 101.0, 100), ("buy", "100", Decimal(101), 100)],
)  # fmt: skip
def test_slippage(telemetry: Any, side: Any, expected: Any, filled: Any, bps: float) -> None:
    """What the fill lost in basis points; a better price is 0, never negative."""
    exchange.slippage(expected, filled, side)
    (point,) = telemetry.metric("trading_slippage")
    assert point.count == 1
    assert point.sum == pytest.approx(bps)


@pytest.mark.parametrize("side", [None, "long", "", b"buy", 1])
def test_a_side_that_nobody_knows_is_no_sale(telemetry: Any, side: Any) -> None:
    """Neither way is guessed: nothing is recorded, and it is counted."""
    exchange.slippage(100, 101, side)
    exchange.slippage(100, 99, side)
    assert telemetry.metric("trading_slippage") == []
    assert telemetry.last("tradespan.telemetry.failures", site="recorders.exchange") == 2


def test_slippage_against_nothing(telemetry: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A price of 0 is a failure of ours, kept away from the service."""
    monkeypatch.setattr(guard, "strict", False)
    exchange.slippage(0, 100.0, "buy")
    assert telemetry.metric("trading_slippage") == []
    assert guard.failures["recorders.exchange"] == 1


def test_the_projected_return(telemetry: Any) -> None:
    """As a ratio, negative too."""
    exchange.projected_roi(-0.05)
    assert telemetry.last("trading_projected_roi_avg") == -0.05
