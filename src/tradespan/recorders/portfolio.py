"""Room `portfolio`: what is held, what it is worth, and what was traded."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Literal

from tradespan import settings as setting
from tradespan.recorders.room import Room
from tradespan.semconv import metrics

Side = Literal["buy", "sell", "short", "cover"]

log = logging.getLogger("tradespan.trades")

_ROOM = Room(metrics.TRADES.room)


def open(*, tickers: Iterable[str] = ()) -> None:  # noqa: A001
    """Create the room's instruments. Never raises.

    Arguments:
        tickers: that will be traded; their counters stand at 0. One text is one of them.
    """
    _ROOM.open(ticker=tickers)


def trade(
    ticker: str, side: Side | str, quantity: float | None = None, price: float | None = None
) -> None:
    """Count one executed trade. Never raises.

    Arguments:
        ticker: instrument.
        side: `buy`, `sell`, `short` or `cover`, in any case of letters.
        quantity: in units of the instrument; for the log line only.
        price: in the quote currency; for the log line only.
    """
    _ROOM.record(metrics.TRADES, 1, ticker=ticker, side=side)
    with _ROOM.guard:
        if setting.current.enabled and (quantity is not None or price is not None):
            log.info("trade: %.20s %s %.40s at %s", side, quantity, ticker, price)


def update(
    *,
    total_value: float | None = None,
    cash: float | None = None,
    positions: int | None = None,
    daily_pnl: float | None = None,
    total_return_pct: float | None = None,
) -> None:
    """Set what is known of the portfolio; what is None stays as it is. Never raises.

    Arguments:
        total_value: cash and holdings in USD.
        cash: in USD.
        positions: number of open ones.
        daily_pnl: profit or loss of the day in USD.
        total_return_pct: return since the start in percent.
    """
    _ROOM.record(metrics.PORTFOLIO_TOTAL_VALUE, total_value)
    _ROOM.record(metrics.PORTFOLIO_CASH, cash)
    _ROOM.record(metrics.CURRENT_POSITIONS_COUNT, positions)
    _ROOM.record(metrics.DAILY_PNL, daily_pnl)
    _ROOM.record(metrics.TOTAL_RETURN_PCT, total_return_pct)
