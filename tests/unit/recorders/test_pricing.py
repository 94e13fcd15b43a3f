"""What models cost: from declared prices, else from genai-prices, else unpriced and counted."""

from __future__ import annotations

import json
import logging
import math
import threading
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import tradespan
from tradespan import guard
from tradespan import settings as setting
from tradespan.recorders import agents, prices, pricing, spending
from tradespan.recorders.usage import Usage
from tradespan.settings import ConfigError, Settings

OWN = """
llama3.2:3b: {per_hour: 0.90}
gpt-4o: {per_million_input: 1.0, per_million_output: 10}
meta-llama/*: {per_million_input: 0.2, per_million_cache_read: 0.1}
free-*: {per_million_input: 0}
"""
ANSWER = {
    "id": "chatcmpl-8f1b2c3d4e5f60718293",
    "model": "gpt-4o",
    "usage": {"prompt_tokens": 1000, "completion_tokens": 100},
}
OLLAMA = {
    "model": "llama3.2:3b",
    "created_at": "2026-11-21T09:00:00.1Z",
    "total_duration": 9_000_000_000,
    "prompt_eval_count": 120,
    "prompt_eval_duration": 500_000_000,
    "eval_count": 18,
    "eval_duration": 1_500_000_000,
}


@pytest.fixture(autouse=True)
def _fresh(telemetry: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    spending.reset()
    monkeypatch.setattr(prices, "_told", set())
    monkeypatch.setattr(prices, "_asked", {})
    monkeypatch.setattr(setting, "current", Settings(mode="replay", mode_given=True, prices=OWN))


@pytest.fixture
def vendors() -> None:
    """The extra `costs` is installed."""
    pytest.importorskip("genai_prices", reason="pip install 'tradespan[costs]'")


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (Usage("gpt-4o", 1000, 100), 0.002),
        (Usage("GPT-4o", 1000, None), 0.001),
        (Usage("llama3.2:3b", 120, 18, seconds=2.0), 0.0005),
        (Usage("llama3.2:3b", 120, 18), None),
        (Usage("meta-llama/Llama-3.1-8B", 1000, 500, 400, 100), 0.00016),
        (Usage("gpt-4o", seconds=3.0), None),
        (Usage("free-lunch", 10, 10), 0.0),
    ],
)
def test_declared_prices(usage: Usage, expected: float | None) -> None:
    """By the hour of work or by the token; a figure that is missing makes no price."""
    assert pricing.price(usage) == (None if expected is None else pytest.approx(expected))


@pytest.mark.usefixtures("vendors")
@pytest.mark.parametrize(
    ("model", "figures", "expected"),
    [
        ("gpt-4o-mini-2024-07-18", {}, 0.00021),
        ("claude-sonnet-4-20250514", {"provider": "anthropic"}, 0.0045),
        ("claude-sonnet-4-0", {"cache_read_tokens": 500, "cache_write_tokens": 100}, 0.003225),
        ("gpt-4o-mini", {"url": "https://api.openai.com:443"}, 0.00021),
        ("gpt-4o-mini", {"url": "http://127.0.0.1:8000"}, None),
        ("gpt-4o-mini", {"url": "http://::1:8080"}, None),
        ("gpt-4o-mini", {"url": "localhost:8000"}, None),
        ("gpt-4o-mini", {"url": "http://[bad"}, None),
        ("gpt-4o-mini", {"provider": "ollama"}, None),
        ("deepseek-r1", {"provider": "vllm"}, None),
        ("deepseek-r1:8b", {}, None),
        ("phi4:latest", {}, None),
        ("no-such-model", {}, None),
        ("", {}, None),
    ],
)  # fmt: skip
def test_vendors_prices(model: str, figures: dict[str, Any], expected: float | None) -> None:
    """A model on one's own machine never has the price of a vendor's of the same name."""
    found = pricing.cost_usd(model, 1000, 100, **figures)
    assert found == (None if expected is None else pytest.approx(expected))


@pytest.mark.usefixtures("vendors")
def test_names_that_nobody_knows_stay_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """genai-prices remembers what it does not know; above a limit it is not asked any more."""
    monkeypatch.setattr(prices, "_MOST_NAMES", 10)
    for n in range(50):
        assert prices.known(Usage(f"model-{n}", 1, 1)) is None
    assert len(prices._asked) == 10


@pytest.mark.usefixtures("vendors")
def test_one_odd_call_spoils_no_other(telemetry: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A usage that genai-prices refuses is no word about its model."""
    import genai_prices

    def refuse(*_: object, **__: object) -> None:
        raise ValueError("cache_read_tokens is more than input_tokens")

    with monkeypatch.context() as patched:
        patched.setattr(genai_prices, "calc_price", refuse)
        assert pricing.spend("gpt-4o-mini", input_tokens=1000, output_tokens=100) is None
    assert pricing.spend("gpt-4o-mini", input_tokens=-1, output_tokens=100) is None
    found = pricing.spend("gpt-4o-mini", input_tokens=1000, output_tokens=100)
    assert found == pytest.approx(0.00021)
    assert telemetry.total("ai_api_unpriced", model_name="gpt-4o-mini") == 2


@pytest.mark.usefixtures("vendors")
def test_an_input_without_its_cache(telemetry: Any) -> None:
    """More tokens of a cache than of input: the vendor counts them beside it; they are added."""
    spending.note_span(
        {
            "gen_ai.usage.input_tokens": 12,
            "gen_ai.usage.output_tokens": 300,
            "gen_ai.usage.cache_read.input_tokens": 2000,
            "gen_ai.response.model": "claude-sonnet-4-20250514",
            "gen_ai.provider.name": "anthropic",
        },
        "",
    )
    assert telemetry.total("ai_api_tokens", token_type="input") == 2012
    assert telemetry.total("ai_api_cost") == pytest.approx(12 * 3e-6 + 2000 * 3e-7 + 300 * 15e-6)


def test_a_price_list_that_fails_costs_no_tokens(
    telemetry: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The call is there, unpriced, and the failure is counted."""

    def fail(_: Usage) -> float:
        raise RuntimeError("no table")

    monkeypatch.setattr(guard, "strict", False)
    monkeypatch.setattr(prices, "known", fail)
    assert pricing.spend("gpt-5", input_tokens=10, output_tokens=1) is None
    assert telemetry.total("ai_api_tokens", model_name="gpt-5") == 11
    assert telemetry.total("ai_api_unpriced", model_name="gpt-5") == 1
    assert guard.failures["pricing.price"] == 1


def test_without_the_extra_everything_else_goes_on(
    telemetry: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A vendor's call counts as unpriced, and one line says what to install."""
    monkeypatch.setattr(prices, "_is_installed", lambda: False)
    with caplog.at_level(logging.WARNING, "tradespan"):
        assert pricing.spend("gpt-5", input_tokens=10, output_tokens=1) is None
        assert pricing.spend("gpt-5", input_tokens=10, output_tokens=1) is None
    assert telemetry.total("ai_api_unpriced", model_name="gpt-5") == 2
    assert telemetry.total("ai_api_tokens", model_name="gpt-5", token_type="input") == 20
    assert telemetry.metric("ai_api_cost") == []
    (line,) = caplog.messages
    assert "pip install 'tradespan[costs]'" in line


@pytest.mark.parametrize(
    ("cost", "priced"),
    [
        (0.25, True),
        (0, True),
        (Decimal("0.25"), True),
        ("0.25", True),
        (-1.0, False),
        (math.nan, False),
        (math.inf, False),
        (Decimal("NaN"), False),
        ("much", False),
        pytest.param(10**400, False, id="huge"),
        (object(), False),
    ],
)
def test_a_cost_that_the_caller_knows(telemetry: Any, cost: Any, priced: bool) -> None:
    """It is taken, unless it is none, which is counted: a counter never goes down."""
    assert pricing.spend("gpt-4o", cost_usd=cost) == (float(cost) if priced else None)
    assert telemetry.total("ai_api_unpriced") == (not priced)
    assert telemetry.total("ai_api_cost", model_name="gpt-4o") == (float(cost) if priced else 0)
    assert guard.failures["pricing.spend"] == (not priced)


@pytest.mark.parametrize("costs", [(Decimal("0.01"), 0.02, 1), (0.02, Decimal("0.01"), 1)])
def test_costs_of_several_types_add_up(telemetry: Any, costs: tuple[Any, ...]) -> None:
    """The SDK cannot add a Decimal and a float: each arrives as a float, in any order."""
    for cost in costs:
        assert pricing.spend("gpt-4o", cost_usd=cost) == float(cost)
    with tradespan.validation(model="gpt-4o") as v:
        v.usage(ANSWER, cost_usd=Decimal("0.5")).usage(cost_usd=0.25)
    assert telemetry.total("ai_api_cost", model_name="gpt-4o") == pytest.approx(1.78)
    assert telemetry.total("ai_api_unpriced") == 0
    assert telemetry.span("validation").attributes["trading.cost.usd"] == 0.75


@pytest.mark.parametrize(
    "tokens", [math.nan, -3, math.inf, "many", object(), pytest.param(10**400, id="huge"), [1]]
)
def test_a_figure_that_is_none_loses_only_itself(telemetry: Any, tokens: Any) -> None:
    """What is left is recorded, the call is unpriced, and the failure is counted."""
    assert pricing.spend("who-knows", input_tokens=tokens, output_tokens=5) is None
    with tradespan.validation(model="who-knows") as v:
        v.usage(input_tokens=tokens)
    assert telemetry.metric("ai_api_tokens", model_name="who-knows", token_type="input") == []
    assert telemetry.total("ai_api_tokens", model_name="who-knows", token_type="output") == 5
    assert telemetry.total("ai_api_unpriced", model_name="who-knows") == 2
    assert guard.failures["pricing.usage"] == 2


@pytest.mark.parametrize("tokens", ["1000", 1000.0, Decimal(1000)])
def test_a_figure_of_another_type(telemetry: Any, tokens: Any) -> None:
    """As every recorder takes it."""
    assert pricing.spend("gpt-4o", input_tokens=tokens) == pytest.approx(0.001)
    assert telemetry.total("ai_api_tokens", model_name="gpt-4o", token_type="input") == 1000
    assert not guard.failures


def test_several_calls_of_one_stage_add_up(telemetry: Any) -> None:
    """Retry and fallback: the sum of tokens and cost, and the model that decided, on one span."""
    with tradespan.validation(model="gpt-4o") as v:
        v.usage(ANSWER).usage(ANSWER, cost_usd=5.0)  # the same answer, counted once
        v.usage(OLLAMA)
        v.usage(model="who-knows", input_tokens=7, output_tokens=1)
        v.usage({**ANSWER, "id": "chatcmpl-ffffffffffffffffffff"})
        v.usage(None).usage({"error": "overloaded"})
        v.approve(0.9)
    got = telemetry.span("validation").attributes
    assert got["gen_ai.request.model"] == "gpt-4o"
    assert got["gen_ai.usage.input_tokens"] == 1000 + 120 + 7 + 1000
    assert got["gen_ai.usage.output_tokens"] == 100 + 18 + 1 + 100
    assert got["trading.cost.usd"] == pytest.approx(0.002 + 0.0005 + 0.002)
    assert got["trading.cost.unpriced"] == 1
    assert telemetry.total("ai_api_cost", model_name="gpt-4o") == pytest.approx(0.004)
    assert telemetry.total("ai_api_cost", model_name="llama3.2:3b") == pytest.approx(0.0005)
    assert telemetry.total("ai_api_unpriced", model_name="who-knows") == 1
    assert telemetry.metric("ai_api_cost", model_name="who-knows") == []


def test_an_answer_without_usage_is_a_call(telemetry: Any) -> None:
    """It counts as unpriced once; pieces of a stream, errors and nothing are no calls."""
    piece = {"object": "chat.completion.chunk", "model": "gpt-4o", "choices": [], "usage": None}
    with tradespan.validation(model="gpt-4o") as v:
        v.usage(piece).usage({"error": "overloaded"}).usage(None).usage(None, model="gpt-4o")
        assert telemetry.metric("ai_api_unpriced") == []
        for _ in range(2):
            v.usage({"id": "chatcmpl-ffffffffffffffffffff", "model": "gpt-4o", "choices": []})
    assert telemetry.total("ai_api_unpriced", model_name="gpt-4o") == 1
    assert telemetry.span("validation").attributes["trading.cost.unpriced"] == 1


def test_unpriced_is_not_zero(telemetry: Any) -> None:
    """A stage whose calls have no price has no cost on its span."""
    with tradespan.validation(model="who-knows") as v:
        v.usage(input_tokens=120, output_tokens=30)
    got = telemetry.span("validation").attributes
    assert "trading.cost.usd" not in got
    assert got["trading.cost.unpriced"] == 1


def test_a_short_id_counts_once_in_its_journey(telemetry: Any) -> None:
    """Ollama numbers its answers by chance, from 0 to 998: one number, many answers."""
    short = {**ANSWER, "id": "chatcmpl-317"}
    for _ in range(2):
        with tradespan.signal(), tradespan.validation() as v:
            v.usage(short).usage(short)
    assert telemetry.total("ai_api_tokens", token_type="input") == 2000


def test_a_short_id_outside_a_journey_is_no_id(telemetry: Any) -> None:
    """Where nothing tells two answers of one number apart, each of them counts."""
    with agents.request("llama3.2:3b") as request:
        request.usage({**ANSWER, "id": "chatcmpl-317"})
        request.usage({**ANSWER, "id": "chatcmpl-317"})
    assert telemetry.total("ai_api_tokens", token_type="input") == 2000


def test_usage_never_raises(telemetry: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer whose attributes raise, and unknown figures."""

    class Hostile:
        def __getattr__(self, name: str) -> Any:
            raise RuntimeError(name)

    monkeypatch.setattr(guard, "strict", False)
    with tradespan.validation() as v:
        v.usage(Hostile()).usage(no_such_figure=1)
    assert guard.failures["stage.usage"] == 2
    assert telemetry.span("validation").attributes["trading.outcome"] == "ok"


def test_many_threads_lose_nothing(telemetry: Any) -> None:
    """A stage that asks several models at once has the sum of all."""
    with tradespan.validation() as v:

        def ask() -> None:
            for _ in range(200):
                v.usage(model="gpt-4o", input_tokens=1, output_tokens=1)

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert telemetry.span("validation").attributes["gen_ai.usage.input_tokens"] == 800
    assert telemetry.total("ai_api_tokens", token_type="output") == 800


def test_switched_off(telemetry: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """TRADESPAN=off records nothing."""
    monkeypatch.setattr(setting, "current", Settings(enabled=False))
    assert pricing.spend("gpt-4o", cost_usd=1.0) is None
    assert telemetry.metric("ai_api_cost") == []


def test_opening_the_room_begins_at_zero(telemetry: Any) -> None:
    """Counters of the models that have a declared price, so that increase() sees the first call."""
    pricing.open()
    assert {p.labels["model_name"]: p.value for p in telemetry.metric("ai_api_cost")} == {
        "llama3.2:3b": 0,
        "gpt-4o": 0,
    }


def test_prices_from_a_file_or_inline(tmp_path: Path) -> None:
    """YAML and JSON, by path or as they are."""
    file = tmp_path / "prices.yaml"
    file.write_text(OWN)
    assert prices.declared(str(file)) == prices.declared(OWN)
    inline = json.dumps({"a:1b": {"per_hour": 1}})
    assert prices.declared(inline) == {"a:1b": prices.Price(per_hour=1.0)}
    assert prices.declared("a: {per_hour: 1}") == {"a": prices.Price(per_hour=1.0)}
    assert prices.declared(" ") == {}


def test_prices_that_cannot_be_read(
    telemetry: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
) -> None:
    """Said once and not tried again; calls count as unpriced with their tokens, vendors' too."""
    file = tmp_path / "prices.yaml"
    monkeypatch.setattr(setting, "current", Settings(mode="replay", prices=str(file)))
    with caplog.at_level(logging.WARNING, "tradespan"):
        pricing.open()
        assert pricing.spend("gpt-4o-mini", input_tokens=10, output_tokens=1) is None
        file.write_text("gpt-4o-mini: {per_million_input: 1}")
        assert pricing.spend("gpt-4o-mini", input_tokens=10, output_tokens=1) is None
        assert pricing.cost_usd("gpt-4o-mini", 10, 1) is None
        assert pricing.spend("gpt-4o-mini", cost_usd=0.5) == 0.5
        with tradespan.validation(model="llama3.2:3b") as v:
            v.usage(OLLAMA)
    (line,) = caplog.messages
    assert "the prices of models are not applied" in line
    assert str(file)[:40] in line
    assert telemetry.total("ai_api_tokens", model_name="gpt-4o-mini") == 22
    assert telemetry.total("ai_api_unpriced", model_name="gpt-4o-mini") == 2
    assert telemetry.total("ai_api_unpriced", model_name="llama3.2:3b") == 1
    assert telemetry.span("validation").attributes["trading.cost.unpriced"] == 1
    assert not guard.failures


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("/no/such/file.yaml", "no file that can be read"),
        ("~nobody-of-this-name/prices.yaml", "no file that can be read"),
        ("{a: {per_hour: 1}", "neither YAML nor JSON"),
        ("{a: 3}", "TRADESPAN_PRICES: a=3"),
        ("{a: {per_day: 1}}", "some of per_hour"),
        ("{a: {per_hour: x}}", "TRADESPAN_PRICES: a: per_hour='x'"),
        ("{a: {per_hour: -1}}", "give a number of USD"),
        ("{a: {per_hour: .nan}}", "give a number of USD"),
        ("{a: {per_million_cache_read: 1}}", "per_million_input"),
        ("a\nb", "write it as"),
    ],
)
def test_what_cannot_be_a_price(text: str, named: str) -> None:
    """The error names model, key and value, and what is allowed."""
    with pytest.raises(ConfigError) as caught:
        prices.declared(text)
    assert named in str(caught.value)
    assert "hint: " in str(caught.value)
