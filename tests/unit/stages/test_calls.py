"""The catalogue's calls, values and counts, by name."""

from __future__ import annotations

import asyncio
import inspect
import math
import typing
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from enum import Enum
from typing import Any

import pytest

import tradespan
from tradespan.semconv.metrics import CALLS, COUNTS, VALUES, CallName, CountName, ValueName
from tradespan.settings import ConfigError


@pytest.mark.parametrize(
    ("names", "table"), [(CallName, CALLS), (ValueName, VALUES), (CountName, COUNTS)]
)
def test_names_and_tables_agree(names: Any, table: dict[str, Any]) -> None:
    """What a type checker allows is what exists."""
    assert set(typing.get_args(names)) == set(table)


@pytest.mark.parametrize("name", sorted(CALLS))
def test_with_and_async_with(telemetry: Any, name: Any) -> None:
    """Each call is recorded once into its metric, in seconds, failed or not."""

    async def work() -> None:
        async with tradespan.call(name):
            await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            async with tradespan.call(name):
                raise asyncio.CancelledError

    with tradespan.call(name):
        pass
    error = ValueError("x")
    with pytest.raises(ValueError) as caught, tradespan.call(name):
        raise error
    asyncio.run(work())
    assert caught.value is error
    (point,) = telemetry.metric(CALLS[name].name)
    assert point.count == 4
    assert 0 <= point.sum < 60
    assert telemetry.spans == []


def test_as_a_decorator(telemetry: Any) -> None:
    """Each call of a decorated function, coroutine or generator is timed; its kind is kept."""

    @tradespan.call("llm")
    def plain(x: int) -> int:
        """A call."""
        return x

    @tradespan.call("llm")
    async def coro(x: int) -> int:
        await asyncio.sleep(0)
        return x

    @tradespan.call("llm")
    def gen(x: int) -> Iterator[int]:
        yield x

    @tradespan.call("llm")
    async def agen(x: int) -> AsyncIterator[int]:
        yield x

    async def main() -> list[int]:
        both = await asyncio.gather(coro(1), coro(2))
        return [*both, *[x async for x in agen(3)]]

    assert plain(0) == 0
    assert asyncio.run(main()) == [1, 2, 3]
    assert list(gen(4)) == [4]
    assert inspect.iscoroutinefunction(coro)
    assert plain.__doc__ == "A call."
    assert telemetry.total("ollama_api_latency") == 5


def test_ended_twice_is_recorded_once(telemetry: Any) -> None:
    """Only the first end counts; without a beginning there is none."""
    with tradespan.call("exchange") as call:
        call.end()
        call.end()
    tradespan.call("exchange").end()
    assert telemetry.total("coinbase_api_response_time") == 1


@pytest.mark.parametrize("name", sorted(VALUES))
def test_values(telemetry: Any, name: Any) -> None:
    """A gauge holds the latest number; its labels are the registry's, others are left out."""
    labels = dict.fromkeys(VALUES[name].attributes, "a")
    tradespan.value(name, 3, **labels, unknown="x")
    tradespan.value(name, 1.5, **labels)
    assert telemetry.last(VALUES[name].name) == 1.5
    assert [p.labels for p in telemetry.metric(VALUES[name].name)][-1] == labels


@pytest.mark.parametrize("name", sorted(COUNTS))
def test_counts(telemetry: Any, name: Any) -> None:
    """A counter adds up by its labels."""
    tradespan.count(name, symbol="BTC-USD")
    tradespan.count(name, 2, symbol="BTC-USD")
    tradespan.count(name, symbol="ETH-USD")
    assert telemetry.total(COUNTS[name].name, symbol="BTC-USD") == 3
    assert telemetry.total(COUNTS[name].name) == 4


@pytest.mark.parametrize(
    ("use", "key"),
    [
        (lambda: tradespan.call("nonsense"), "tradespan.call"),  # type: ignore[arg-type]
        (lambda: tradespan.value("nonsense", 1), "tradespan.value"),  # type: ignore[arg-type]
        (lambda: tradespan.count("nonsense"), "tradespan.count"),  # type: ignore[arg-type]
    ],
)
def test_an_unknown_name_is_told_at_once(use: Any, key: str) -> None:
    """A name that does not exist is a ConfigError that lists those that do."""
    with pytest.raises(ConfigError) as caught:
        use()
    assert caught.value.key == key
    assert caught.value.value == "nonsense"
    assert caught.value.hint.startswith("one of ")


@pytest.mark.parametrize("name", [["x"], None, {}])
def test_a_name_that_is_no_text_is_told_too(name: Any) -> None:
    """As one that does not exist, and not as an error of ours."""
    with pytest.raises(ConfigError, match="one of "):
        tradespan.value(name, 1)


def test_a_label_is_an_enums_value(telemetry: Any) -> None:
    """As it is by the recorders."""
    tradespan.count("order_precision_errors", symbol=Enum("Symbol", {"BTC": "BTC-USD"}).BTC)
    assert telemetry.total("order_precision_errors", symbol="BTC-USD") == 1


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf"), 1e308, -1, True])
def test_no_number_raises(telemetry: Any, number: Any) -> None:
    """Odd numbers of a service do not come back to it."""
    tradespan.value("pending_recommendations", number)
    tradespan.count("balance_check_failures", 0, symbol="x")
    tradespan.signal().confidence(number)


@pytest.mark.parametrize("bad", [math.nan, math.inf, None, "much", Decimal("1e999"), [1]])
def test_what_is_no_finite_number_is_left_out_and_counted(telemetry: Any, bad: Any) -> None:
    """The gauge keeps its last number, the counter its sum, and the failure can be seen."""
    tradespan.value("model_load_status", 1)
    tradespan.value("model_load_status", bad)
    tradespan.count("order_precision_errors", symbol="BTC-USD")
    tradespan.count("order_precision_errors", bad, symbol="BTC-USD")
    tradespan.count("order_precision_errors", -1, symbol="BTC-USD")
    assert telemetry.last("model_load_status") == 1
    assert telemetry.total("order_precision_errors") == 1
    failures = telemetry.metric("tradespan.telemetry.failures", site="call.record")
    assert failures[-1].value == 3
