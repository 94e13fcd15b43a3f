"""Trades and what the portfolio is worth, as they are exported."""

from __future__ import annotations

import logging
from decimal import Decimal
from enum import Enum
from typing import Any

import numpy as np
import pytest

from tradespan import settings as setting
from tradespan.recorders import agents, portfolio
from tradespan.settings import Settings


class Ticker(Enum):
    """As trading code has it."""

    AAPL = "AAPL"


def test_a_trade_is_counted_and_told(telemetry: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Quantity and price are for the log line, never labels."""
    with caplog.at_level(logging.INFO, logger="tradespan.trades"):
        portfolio.trade("AAPL", "BUY", quantity=10, price=150.25)
        portfolio.trade("AAPL", "sell")
    assert telemetry.total("trades", ticker="AAPL", side="buy") == 1
    assert telemetry.total("trades", ticker="AAPL", side="sell") == 1
    assert caplog.messages == ["trade: BUY 10 AAPL at 150.25"]


def test_the_portfolio_is_set_as_far_as_it_is_known(telemetry: Any) -> None:
    """What is None stays as it is; numbers of every kind are taken."""
    portfolio.update(total_value=Decimal("105000.5"), cash=50_000, positions=np.int64(7))
    portfolio.update(daily_pnl=-1250.5, total_return_pct="5.0")  # type: ignore[arg-type]
    values = {
        name: telemetry.last(name)
        for name in ("portfolio_total_value", "portfolio_cash", "current_positions_count",
                     "daily_pnl", "total_return_pct")
    }  # fmt: skip
    assert values == {
        "portfolio_total_value": 105000.5,
        "portfolio_cash": 50_000,
        "current_positions_count": 7,
        "daily_pnl": -1250.5,
        "total_return_pct": 5.0,
    }


def test_tickers_that_are_named_stand_at_zero(telemetry: Any) -> None:
    """For every side."""
    portfolio.open(tickers=["AAPL"])
    found = {p.labels["side"]: p.value for p in telemetry.metric("trades", ticker="AAPL")}
    assert found == dict.fromkeys(("buy", "sell", "short", "cover"), 0)


@pytest.mark.parametrize(
    ("tickers", "found"), [("AAPL", {"AAPL"}), (None, set()), ((Ticker.AAPL, "B"), {"AAPL", "B"})]
)
def test_one_ticker_or_none(telemetry: Any, tickers: Any, found: set[str]) -> None:
    """A text is one and not its letters; the room is opened without any as well."""
    portfolio.open(tickers=tickers)
    agents.open(tickers=tickers)
    assert {p.labels["ticker"] for p in telemetry.metric("trades")} == found
    assert telemetry.metric("agent_analyses")


def test_the_users_limit_of_symbols_holds_for_tickers(
    telemetry: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TRADESPAN_SYMBOL_LIMIT bounds both words for what is traded."""
    monkeypatch.setattr(setting, "current", Settings(symbol_limit=2))
    for ticker in ("A", "B", "C", "D"):
        portfolio.trade(ticker, "buy")
    assert telemetry.total("trades", ticker="other") == 2
