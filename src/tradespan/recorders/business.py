"""Room `business`: revenue, users, signals sold, and who tries to get in."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from tradespan.recorders.room import Room, Timer
from tradespan.semconv import metrics

OrderResult = Literal["filled", "partial", "rejected", "cancelled", "expired"]
RefusalReason = Literal["credentials", "token", "second_factor", "locked", "permission"]
Scope = Literal["client", "exchange", "model"]

_ROOM = Room(metrics.BUSINESS_REVENUE.room)


def open(*, sources: Iterable[str] = (), symbols: Iterable[str] = ()) -> None:  # noqa: A001
    """Create the room's instruments. Never raises.

    Arguments:
        sources: of revenue; their counters stand at 0.
        symbols: that will be traded; likewise.
    """
    _ROOM.open(source=sources, symbol=symbols)


def revenue(usd: float, source: str) -> None:
    """Add revenue. Never raises.

    Arguments:
        usd: not negative.
        source: where it comes from, such as `subscriptions`.
    """
    _ROOM.record(metrics.BUSINESS_REVENUE, usd, source=source)


def payment(succeeded: bool) -> None:
    """Count one payment, None not at all. Never raises."""
    with _ROOM.guard:
        known = _ROOM.truth(succeeded)
        if known is not None:
            result = "success" if known else "failure"
            _ROOM.record(metrics.BUSINESS_PAYMENTS, 1, result=result)


def volume(usd: float, symbol: str) -> None:
    """Add traded volume. Never raises.

    Arguments:
        usd: quantity times price, not negative.
        symbol: instrument.
    """
    _ROOM.record(metrics.BUSINESS_TRADING_VOLUME, usd, symbol=symbol)


def order(result: OrderResult | str) -> None:
    """Count one order that ended; filled ones over all are the execution rate. Never raises."""
    _ROOM.record(metrics.BUSINESS_ORDERS, 1, result=result)


def pnl(*, realized: float | None = None, unrealized: float | None = None) -> None:
    """Set profit or loss in USD; what is None stays as it is. Never raises."""
    _ROOM.record(metrics.BUSINESS_PNL, realized, pnl_type="realized")
    _ROOM.record(metrics.BUSINESS_PNL, unrealized, pnl_type="unrealized")


def active_users(number: int) -> None:
    """Set the number of users active now. Never raises."""
    _ROOM.record(metrics.BUSINESS_USERS_ACTIVE, number)


def registration(number: int = 1) -> None:
    """Count users registered. Never raises."""
    _ROOM.record(metrics.BUSINESS_REGISTRATIONS, number)


def session() -> Timer:
    """Time a session of a user: `with session():`, or `async with`."""
    return Timer(_ROOM.guard, lambda seconds, _: session_ended(seconds))


def session_ended(seconds: float) -> None:
    """Record a session that was timed elsewhere. Never raises."""
    _ROOM.record(metrics.BUSINESS_SESSION_DURATION, seconds)


def signal(confidence: float | None = None) -> None:
    """Count one published signal. Never raises.

    Arguments:
        confidence: 0 to 1.
    """
    _ROOM.record(metrics.BUSINESS_SIGNALS, 1)
    _ROOM.record(metrics.BUSINESS_SIGNAL_CONFIDENCE, confidence)


def signal_outcome(correct: bool) -> None:
    """Count one published signal whose outcome is known; the share is accuracy. Never raises."""
    with _ROOM.guard:
        known = _ROOM.truth(correct)
        if known is not None:
            result = "correct" if known else "wrong"
            _ROOM.record(metrics.BUSINESS_SIGNAL_OUTCOMES, 1, result=result)


def authentication_failed(reason: RefusalReason | str) -> None:
    """Count one sign-in or request that was refused for who it came from. Never raises.

    Arguments:
        reason: one of `RefusalReason`; any other is `other`, and counted as overflow.
    """
    _ROOM.record(metrics.SECURITY_AUTHENTICATION_FAILURES, 1, reason=reason)


def rate_limited(scope: Scope | str) -> None:
    """Count one request that was refused because of a rate limit. Never raises.

    Arguments:
        scope: who was over it: a `client` of ours, or we at an `exchange` or at a `model`.
    """
    _ROOM.record(metrics.SECURITY_RATE_LIMITS, 1, scope=scope)
