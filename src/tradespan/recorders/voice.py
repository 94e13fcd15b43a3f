"""Room `voice`: requests by voice, from the wake word to the order."""

from __future__ import annotations

from tradespan.recorders.room import Room, Timer, Totals
from tradespan.semconv import metrics

_ROOM = Room(metrics.TRADING_VOICE_LATENCY.room)
_TOTALS = Totals(_ROOM, metrics.TRADING_VOICE_TOTAL_REQUESTS, metrics.TRADING_VOICE_FAILED_REQUESTS)


def open() -> None:  # noqa: A001
    """Create the room's instruments; its counters stand at 0. Never raises."""
    _ROOM.open()


def request() -> Timer:
    """Count and time one request: `with request():`, or `async with`; an exception is a failure."""
    return Timer(_ROOM.guard, lambda seconds, error: requested(seconds, failed=error is not None))


def requested(seconds: float | None = None, *, failed: bool = False) -> None:
    """Count a request that was timed elsewhere. Never raises.

    Arguments:
        seconds: from the end of speech to the answer.
        failed: whether it was not understood, or could not be answered.
    """
    with _ROOM.guard:
        _TOTALS.add(metrics.TRADING_VOICE_TOTAL_REQUESTS)
        _TOTALS.add(metrics.TRADING_VOICE_FAILED_REQUESTS, _ROOM.truth(failed))
    _ROOM.record(metrics.TRADING_VOICE_LATENCY, seconds)


def totals(*, requests: int | None = None, failed: int | None = None) -> None:
    """Set totals that are counted elsewhere, as an exporter does. Never raises.

    Arguments:
        requests: all of them.
        failed: those that failed.
    """
    _TOTALS.set(metrics.TRADING_VOICE_TOTAL_REQUESTS, requests)
    _TOTALS.set(metrics.TRADING_VOICE_FAILED_REQUESTS, failed)


def wake_word(number: int = 1) -> None:
    """Count wake words heard. Never raises."""
    _ROOM.record(metrics.TRADING_VOICE_WAKE_WORD_EVENTS, number)


def conversion(number: int = 1) -> None:
    """Count requests that led to an order. Never raises."""
    _ROOM.record(metrics.TRADING_VOICE_CONVERSIONS, number)
