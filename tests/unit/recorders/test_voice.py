"""Requests by voice, as they are exported."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tradespan.recorders import voice

TOTAL, FAILED = "trading_voice_total_requests", "trading_voice_failed_requests"


def test_requests_are_counted_and_timed(telemetry: Any) -> None:
    """An exception makes a failed one; `async with` is the same."""

    async def ask() -> None:
        async with voice.request():
            await asyncio.sleep(0)

    with voice.request():
        pass
    asyncio.run(ask())
    with pytest.raises(ValueError), voice.request():
        raise ValueError
    voice.requested(0.5, failed=True)
    assert telemetry.last(TOTAL) == 4
    assert telemetry.last(FAILED) == 2
    assert telemetry.total("trading_voice_latency") == 4


def test_totals_counted_elsewhere(telemetry: Any) -> None:
    """An exporter sets what it read; a request that is counted here comes on top."""
    voice.totals(requests=100, failed=7)
    voice.requested()
    voice.totals(failed=None)
    assert telemetry.last(TOTAL) == 101
    assert telemetry.last(FAILED) == 7


def test_words_and_conversions(telemetry: Any) -> None:
    """Counted one by one, or several at once."""
    voice.wake_word()
    voice.wake_word(2)
    voice.conversion()
    assert telemetry.total("trading_voice_wake_word_events") == 3
    assert telemetry.total("trading_voice_conversions") == 1


def test_all_of_it_begins_at_zero(telemetry: Any) -> None:
    """The totals too, so that `delta()` sees the first request."""
    voice.open()
    names = (TOTAL, FAILED, "trading_voice_wake_word_events", "trading_voice_conversions")
    assert [telemetry.last(name) for name in names] == [0, 0, 0, 0]
