"""Room `exchange`: what came of the orders at the venue, and what the plans promise."""

from __future__ import annotations

from typing import Literal

from tradespan import instruments
from tradespan.recorders.room import Room, Totals
from tradespan.semconv import metrics

Reason = Literal[
    "balance", "precision", "size", "price", "market_closed", "rate_limit", "risk", "duplicate",
    "authentication",
]  # fmt: skip

_LOSES = {"buy": 1, "cover": 1, "sell": -1, "short": -1}
"""By side: which way the price loses."""

_ROOM = Room(metrics.TRADING_ORDERS_REJECTED.room)
_TOTALS = Totals(
    _ROOM,
    metrics.TRADING_EXECUTED_TRADES,
    metrics.TRADING_WIN_TRADES,
    metrics.TRADING_LOSS_TRADES,
)


def open() -> None:  # noqa: A001
    """Create the room's instruments; its counters stand at 0. Never raises."""
    _ROOM.open()


def executed(number: int = 1) -> None:
    """Count trades executed. Never raises."""
    _TOTALS.add(metrics.TRADING_EXECUTED_TRADES, number)


def closed(profit: float) -> None:
    """Count one closed trade as won or lost; one without profit or loss is neither. Never raises.

    Arguments:
        profit: of the trade, negative for a loss, in any currency; what is no finite number is
            counted as a failure of ours.
    """
    with _ROOM.guard:
        found = _ROOM.number(metrics.TRADING_WIN_TRADES, profit)
        if found is not None:
            _TOTALS.add(metrics.TRADING_WIN_TRADES, found > 0)
            _TOTALS.add(metrics.TRADING_LOSS_TRADES, found < 0)


def totals(*, executed: int | None = None, won: int | None = None, lost: int | None = None) -> None:
    """Set totals that are counted elsewhere, as an exporter does. Never raises.

    Arguments:
        executed: trades.
        won: of them, closed with a profit.
        lost: of them, closed with a loss.
    """
    _TOTALS.set(metrics.TRADING_EXECUTED_TRADES, executed)
    _TOTALS.set(metrics.TRADING_WIN_TRADES, won)
    _TOTALS.set(metrics.TRADING_LOSS_TRADES, lost)


def rejected(reason: Reason | str) -> None:
    """Count one order that the exchange refused. Never raises.

    Arguments:
        reason: one of `Reason`; any other is `other`, and counted as overflow.
    """
    _ROOM.record(metrics.TRADING_ORDERS_REJECTED, 1, reason=reason)


def slippage(expected: float, filled: float, side: Literal["buy", "sell"] | str) -> None:
    """Record what a fill lost against the expected price. Never raises.

    Arguments:
        expected: price when the order was decided, above 0.
        filled: price of the fill, in the same currency.
        side: `buy` and `cover` lose by a higher price, `sell` and `short` by a lower one, in any
            case of letters; any other is counted as a failure of ours, and not recorded.
    """
    with _ROOM.guard:
        word = instruments.text_of(side).strip().lower()
        if word not in _LOSES:
            _ROOM.refuse(f"a side is one of {', '.join(_LOSES)}")
        else:
            slipped((float(filled) / float(expected) - 1) * _LOSES[word] * 10_000)


def slipped(bps: float) -> None:
    """Record a slippage in basis points; a better price (negative) counts as 0. Never raises."""
    with _ROOM.guard:
        _ROOM.record(metrics.TRADING_SLIPPAGE, 0.0 if float(bps) < 0 else bps)


def projected_roi(ratio: float) -> None:
    """Set the average return that the open plans project, 0.05 for 5 %. Never raises."""
    _ROOM.record(metrics.TRADING_PROJECTED_ROI_AVG, ratio)
