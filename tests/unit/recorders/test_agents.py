"""Decisions, analyses and requests of agents, as they are exported."""

from __future__ import annotations

import asyncio
import threading
from enum import Enum
from typing import Any

import pytest

import tradespan
from tradespan.recorders import agents


class Action(Enum):
    """As trading code has it."""

    BUY = "BUY"


def test_a_decision_is_counted_by_ticker_and_action(telemetry: Any) -> None:
    """Words are taken in any case of letters, and as an enum; the conviction is a histogram."""
    for action in ("buy", "BUY", " Buy ", Action.BUY):
        agents.decision("AAPL", action, conviction=0.8)
    agents.decision("AAPL", "hold")
    agents.conviction(0.2)
    assert telemetry.total("agent_decisions", ticker="AAPL", action="buy") == 4
    assert telemetry.total("agent_decisions", ticker="AAPL", action="hold") == 1
    assert telemetry.total("agent_conviction_score") == 5
    assert telemetry.total("tradespan.telemetry.overflow") == 0


def test_an_action_that_nobody_declared_is_other(telemetry: Any) -> None:
    """An enum takes its own words only; the stranger shows as overflow."""
    agents.decision("AAPL", "yolo")
    assert telemetry.total("agent_decisions", ticker="AAPL", action="other") == 1
    assert telemetry.total("tradespan.telemetry.overflow", attribute="action") == 1


def test_a_request_is_counted_timed_and_priced(telemetry: Any) -> None:
    """One request, its latency and the cost that was told."""
    agents.analysis()
    with agents.request("haiku", cost_usd=0.25):
        pass
    with agents.request("haiku") as request:
        request.cost(0.5)
    agents.requested("haiku", seconds=2.0)
    assert telemetry.total("agent_analyses") == 1
    assert telemetry.total("ai_api_requests", model_name="haiku") == 3
    assert telemetry.total("ai_api_latency", model_name="haiku") == 3
    assert telemetry.total("ai_api_cost", model_name="haiku") == 0.75


def test_a_failed_request_is_timed_and_costs_nothing(telemetry: Any) -> None:
    """The exception goes on to the service."""
    with pytest.raises(TimeoutError), agents.request("haiku", cost_usd=0.25):
        raise TimeoutError
    assert telemetry.total("ai_api_requests", model_name="haiku") == 1
    assert telemetry.total("ai_api_latency", model_name="haiku") == 1
    assert telemetry.total("ai_api_cost") == 0


def test_a_request_without_cost_or_usage_leaves_the_cost_to_others(telemetry: Any) -> None:
    """Nothing is counted twice where a GenAI instrumentation counts it."""
    with agents.request("haiku"):
        pass
    assert telemetry.metric("ai_api_cost") == []
    assert telemetry.metric("ai_api_unpriced") == []


def test_the_usage_of_an_answer_is_priced_once(telemetry: Any) -> None:
    """Tokens are recorded, and the cost that the caller told holds."""
    with agents.request("haiku", cost_usd=0.25) as request:
        request.usage({"model": "haiku", "usage": {"input_tokens": 10, "output_tokens": 4}})
    assert telemetry.total("ai_api_tokens", model_name="haiku", token_type="input") == 10
    assert telemetry.total("ai_api_tokens", model_name="haiku", token_type="output") == 4
    assert telemetry.total("ai_api_cost", model_name="haiku") == 0.25


def test_an_answer_without_usage_is_unpriced(telemetry: Any) -> None:
    """Unless its cost was told; a piece of a stream leaves that to what follows."""
    answer = {"model": "haiku", "choices": []}
    with agents.request("haiku") as request:
        request.usage({**answer, "object": "chat.completion.chunk"})
    assert telemetry.metric("ai_api_unpriced") == []
    with agents.request("haiku", cost_usd=0.25) as request:
        request.usage({**answer, "object": "chat.completion.chunk"})
        request.usage(answer)
    assert telemetry.total("ai_api_unpriced", model_name="haiku") == 0
    with agents.request("haiku") as request:
        request.usage(answer)
    assert telemetry.total("ai_api_unpriced", model_name="haiku") == 1
    assert telemetry.total("ai_api_cost", model_name="haiku") == 0.25


def test_an_answer_told_of_twice_counts_once(telemetry: Any) -> None:
    """By the stage and by the request in it; its tokens and cost stand on the stage."""
    answer = {
        "id": "msg_00000000000000000001",
        "model": "haiku",
        "usage": {"input_tokens": 10, "output_tokens": 4},
    }
    with tradespan.validation(model="haiku") as v:
        with agents.request("haiku", cost_usd=0.25) as request:
            request.usage(answer)
        v.usage(answer)
    assert telemetry.total("ai_api_tokens", model_name="haiku") == 14
    assert telemetry.total("ai_api_cost", model_name="haiku") == 0.25
    attributes = telemetry.span("validation").attributes
    assert attributes["gen_ai.usage.input_tokens"] == 10
    assert attributes["trading.cost.usd"] == 0.25


def test_requests_in_coroutines_and_threads(telemetry: Any) -> None:
    """`async with` is the same; concurrent requests do not disturb each other."""

    async def ask() -> None:
        async with agents.request("haiku"):
            await asyncio.sleep(0.001)

    async def all_of_them() -> None:
        await asyncio.gather(*(ask() for _ in range(20)))

    threads = [threading.Thread(target=lambda: asyncio.run(all_of_them())) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert telemetry.total("ai_api_requests", model_name="haiku") == 60
    assert telemetry.total("ai_api_latency", model_name="haiku") == 60


def test_a_cancelled_request_is_counted(telemetry: Any) -> None:
    """Cancellation ends the block like any exception."""

    async def ask() -> None:
        async with agents.request("haiku", cost_usd=1.0):
            await asyncio.sleep(10)

    async def cancel() -> None:
        task = asyncio.create_task(ask())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel())
    assert telemetry.total("ai_api_requests", model_name="haiku") == 1
    assert telemetry.total("ai_api_cost") == 0


def test_counters_stand_at_zero_for_what_is_named(telemetry: Any) -> None:
    """The first decision on a named ticker shows as a rise."""
    agents.open(tickers=["AAPL", "MSFT"], models=["haiku"])
    found = {(p.labels["ticker"], p.labels["action"]) for p in telemetry.metric("agent_decisions")}
    actions = ("buy", "sell", "hold", "short", "cover")
    assert found == {(ticker, action) for ticker in ("AAPL", "MSFT") for action in actions}
    assert telemetry.total("agent_decisions") == 0
    assert [p.labels for p in telemetry.metric("ai_api_requests")] == [{"model_name": "haiku"}]
