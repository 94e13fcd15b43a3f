"""A user's services, as a type checker sees them. Not run: checked by mypy --strict.

What stands with `type: ignore[...]` is wrong on purpose: mypy says so when it would be accepted.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import UTC, datetime
from typing import assert_type

import tradespan


def generate(candle: Mapping[str, float]) -> dict[str, str]:
    """A signal generator."""
    with tradespan.signal(
        symbol="BTC-USD",
        signal_type="momentum",
        event_time=datetime.fromtimestamp(candle["close_time"], UTC),
        lookback=20,
    ) as s:
        assert_type(s, tradespan.Signal)
        assert_type(s.signal_id, str)
        s.confidence(0.83).set(feature="x")
        if candle["close"] < candle["open"]:
            s.skip("HOLD")
        fields: dict[str, str] = tradespan.inject({"payload": "{}"})
        return fields


def publish(headers: list[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    """A Kafka producer."""
    assert_type(tradespan.inject(), dict[str, str])
    return tradespan.inject(headers)


async def orchestrate(fields: Mapping[bytes, bytes], attempt: int) -> None:
    """An orchestrator."""
    async with tradespan.orchestration(carrier=fields, attempt=attempt) as o:
        assert_type(o, tradespan.Orchestration)
        async with tradespan.validation(model="llama3.2:3b") as v:
            assert_type(v, tradespan.Validation)
            assert_type(v.approve(confidence=0.9, reason="trend"), tradespan.Validation)
            v.reject("cooldown", confidence=0.4)
            v.usage(input_tokens=1, output_tokens=2)
        with tradespan.risk() as r:
            assert_type(r.approve(score=0.2, level="low"), tradespan.Risk)
            r.reject("exposure", score=0.9, level="critical")
            r.approve(level="enormous")  # type: ignore[arg-type]
        o.approve()


def execute(row: sqlite3.Row) -> bool:
    """An executor."""
    with tradespan.execution(carrier=row, symbol="BTC-USD", side="buy", venue="coinbase") as e:
        assert_type(e.filled(quantity=0.1, price=97_000.0, order_id="o"), tradespan.Execution)
        e.retry("503").reject("no")
        e.filled("0.1", 97_000.0)  # type: ignore[arg-type]
        return True


def wrong() -> None:
    """Mistakes that a type checker finds."""
    tradespan.execution(side="long")  # type: ignore[arg-type]
    tradespan.call("nonsense")  # type: ignore[arg-type]
    tradespan.value("nonsense", 1)  # type: ignore[arg-type]
    tradespan.count("nonsense")  # type: ignore[arg-type]
    tradespan.stage()  # type: ignore[call-arg]
    tradespan.risk().end_as("finished")  # type: ignore[arg-type]


@tradespan.risk(symbol="BTC-USD")
def assess(order: int, *, limit: float = 1.0) -> bool:
    """A decorated function keeps its type."""
    return order < limit


@tradespan.validation()
async def validate(text: str) -> float:
    """A decorated coroutine keeps its type."""
    return float(text)


@tradespan.stage("poll", ends=False)
def poll(n: int) -> Iterator[int]:
    """A decorated generator keeps its type."""
    yield from range(n)


@tradespan.call("llm")
async def stream(n: int) -> AsyncIterator[str]:
    """A timed call as a decorator keeps its type."""
    yield str(n)


class Desk:
    """Methods keep their types too."""

    @tradespan.execution()
    def trade(self, order: int) -> str:
        """A decorated method."""
        return str(order)


async def use() -> None:
    """The decorated ones, used."""
    assert_type(assess(1, limit=2.0), bool)
    assess("1")  # type: ignore[arg-type]
    assert_type(await validate("1"), float)
    assert_type(list(poll(3)), list[int])
    assert_type([s async for s in stream(1)], list[str])
    assert_type(Desk().trade(1), str)
    with tradespan.extract({}) as found:
        assert_type(found, tradespan.Journey | None)
    assert_type(tradespan.current_journey(), tradespan.Journey | None)
    assert_type(tradespan.current_stage(), tradespan.Stage | None)
    with tradespan.call("model_inference"):
        tradespan.value("model_load_status", 1)
    tradespan.count("balance_check_failures", symbol="BTC-USD")
    try:
        tradespan.configure(mode="replay")
    except tradespan.ConfigError as error:
        assert_type(error.key, str)
        assert_type(error.hint, str)
