"""Decisions and inference in a service on streams, as they are exported."""

from __future__ import annotations

import asyncio
from typing import Any

from tradespan.recorders import streams


def test_decisions_by_stream(telemetry: Any) -> None:
    """A stream that is named stands at 0, so that silence and the first decision both show."""
    streams.open(streams=["trader:decisions"])
    assert {p.value for p in telemetry.metric("trading.stream.decisions")} == {0}
    streams.decision("trader:decisions", "BUY")
    found = telemetry.total("trading.stream.decisions", stream="trader:decisions", action="buy")
    assert found == 1


def test_inference_is_timed_by_model(telemetry: Any) -> None:
    """By the block, in coroutines too, or by seconds."""

    async def ask() -> None:
        async with streams.inference("llama-3"):
            await asyncio.sleep(0)

    asyncio.run(ask())
    with streams.inference("llama-3"):
        pass
    streams.inferred("llama-3", 0.6)
    (point,) = telemetry.metric("trading.inference.duration", model_name="llama-3")
    assert point.count == 3
    assert 0.6 <= point.sum < 1
