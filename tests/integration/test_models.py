"""Calls of models are one span each and counted once, whoever tells of them."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from .support.collector import NAMESPACE, Collector
from .support.models import Models
from .support.services import answers, free_port, run, service
from .test_logs import sending

PRICES = json.dumps(
    {
        "gpt-4o-mini": {"per_million_input": 1, "per_million_output": 10},
        "claude-*": {
            "per_million_input": 3,
            "per_million_output": 15,
            "per_million_cache_read": 0.3,
            "per_million_cache_write": 3.75,
        },
        "llama3.2:3b": {"per_hour": 0.9},
    }
)
COST = {"openai": 0.002, "anthropic": 0.004035, "ollama": 0.0005}
INPUT = {"openai": 1000, "anthropic": 1000, "ollama": 120}


def needs(*modules: str) -> None:
    """Skip where one of these is missing."""
    for module in modules:
        try:
            found = importlib.util.find_spec(module)
        except ImportError:
            found = None
        if found is None:
            pytest.skip(f"{module} is missing (pip install 'tradespan[openai,anthropic]')")


def asked(tmp_path: Path, *words: str, **env: str) -> tuple[Collector, str]:
    """What the service sent, and what it complained of."""
    with Collector() as collector, Models() as models:
        known = {**sending(collector), "MODELS": str(models.port), "TRADESPAN_PRICES": PRICES}
        code, _, err = run(["asking.py", *words], tmp_path, {**known, **env})
    assert code == 0, err
    return collector, err


def summed(collector: Collector, metric: str) -> dict[str, float]:
    """A counter by model, without those at zero; the embedded backend itself rounds to wholes."""
    found: dict[str, float] = {}
    for point in collector._sums._streams.values():
        if point.metric == metric and point.value:
            model = dict(point.labels)["model_name"]
            found[model] = found.get(model, 0.0) + point.value
    return found


@pytest.mark.parametrize("notes", [(), ("notes",)])
@pytest.mark.parametrize("vendor", ["openai", "anthropic"])
def test_the_official_instrumentations(vendor: str, notes: tuple[str, ...], tmp_path: Path) -> None:
    """Installed is switched on: one span a call, its cost on the stage; noted too, counted once."""
    needs(vendor, f"opentelemetry.instrumentation.genai.{vendor}")
    collector, _ = asked(tmp_path, vendor, *notes)
    calls = [s for s in collector.all_spans if "gen_ai.operation.name" in s.attributes]
    assert len(calls) == 1, [s.name for s in calls]
    (stage,) = [s for s in collector.all_spans if s.stage == "validation"]
    assert calls[0].parent_id == stage.span_id
    got = stage.attributes
    assert got["gen_ai.request.model"] == calls[0].attributes["gen_ai.response.model"]
    assert got["trading.cost.usd"] == pytest.approx(COST[vendor])
    assert got["gen_ai.usage.input_tokens"] == INPUT[vendor]
    assert list(summed(collector, "ai_api_cost").values()) == [pytest.approx(COST[vendor])]
    assert list(summed(collector, "ai_api_tokens").values()) == [INPUT[vendor] + 100]
    assert summed(collector, "ai_api_unpriced") == {}


@pytest.mark.parametrize("notes", [(), ("notes",)])
def test_anthropics_own_tracing(notes: tuple[str, ...], tmp_path: Path) -> None:
    """Without the instrumentation its SDK traces itself: that one span is counted."""
    needs("anthropic", "opentelemetry.instrumentation.genai.anthropic")
    off = {"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "redis, anthropic"}
    collector, _ = asked(tmp_path, "anthropic", *notes, **off)
    calls = [s for s in collector.all_spans if "gen_ai.operation.name" in s.attributes]
    assert [s.name for s in calls] == ["anthropic.messages.create"]
    assert list(summed(collector, "ai_api_cost").values()) == [pytest.approx(COST["anthropic"])]


def test_the_users_word_wins(tmp_path: Path) -> None:
    """Who asks for both has both spans; the call is counted once all the same."""
    needs("anthropic", "opentelemetry.instrumentation.genai.anthropic")
    collector, _ = asked(tmp_path, "anthropic", "notes", ANTHROPIC_OPEN_TELEMETRY="true")
    calls = [s for s in collector.all_spans if "gen_ai.operation.name" in s.attributes]
    assert len(calls) == 2
    assert list(summed(collector, "ai_api_tokens").values()) == [INPUT["anthropic"] + 100]


def test_several_models_in_one_validation(tmp_path: Path) -> None:
    """Summed on the stage; each model has its own series."""
    needs("openai", "opentelemetry.instrumentation.genai.openai")
    collector, _ = asked(tmp_path, "openai", "ollama", "notes")
    (stage,) = [s for s in collector.all_spans if s.stage == "validation"]
    assert stage.attributes["trading.cost.usd"] == pytest.approx(COST["openai"] + COST["ollama"])
    assert stage.attributes["gen_ai.request.model"] == "llama3.2:3b"
    costs = summed(collector, "ai_api_cost")
    assert costs == pytest.approx({"gpt-4o-mini": COST["openai"], "llama3.2:3b": COST["ollama"]})


def test_a_mapped_host(tmp_path: Path) -> None:
    """By tradespan.yaml alone; noted too, or told by the instrumentation too, it counts once."""
    needs("openai", "opentelemetry.instrumentation.genai.openai")
    with Models() as models, Collector() as collector:
        (tmp_path / "tradespan.yaml").write_text(
            "version: 1\nservices: {under-test: {calls: "
            f'{{llm: {{hosts: ["127.0.0.1:{models.port}"]}}}}}}}}\n'
        )
        env = {
            **sending(collector),
            "MODELS": str(models.port),
            "TRADESPAN_PRICES": PRICES,
            "TRADESPAN_CONFIG": str(tmp_path / "tradespan.yaml"),
        }
        code, _, err = run(["asking.py", "openai", "ollama", "notes"], tmp_path, env)
    assert code == 0, err
    costs = summed(collector, "ai_api_cost")
    assert costs == pytest.approx({"gpt-4o-mini": COST["openai"], "llama3.2:3b": COST["ollama"]})


def test_without_a_price(tmp_path: Path) -> None:
    """Unpriced is counted and said once, and no cost stands anywhere."""
    collector, err = asked(tmp_path, "ollama", "notes", TRADESPAN_PRICES="")
    assert summed(collector, "ai_api_unpriced") == {"llama3.2:3b": 1}
    assert summed(collector, "ai_api_tokens") == {"llama3.2:3b": 138}
    assert collector.total("ai_api_cost", by=("model_name",)) == {}
    (stage,) = [s for s in collector.all_spans if s.stage == "validation"]
    assert "trading.cost.usd" not in stage.attributes
    assert stage.attributes["trading.cost.unpriced"] == 1
    assert err.count("declare it in TRADESPAN_PRICES") == 1


def test_prices_that_cannot_be_read(tmp_path: Path) -> None:
    """They are named, and the service is traced without them."""
    collector, err = asked(tmp_path, "ollama", "notes", TRADESPAN_PRICES="/no/such/prices.yaml")
    assert "the prices of models are not applied: TRADESPAN_PRICES='/no/such/prices.yaml'" in err
    assert summed(collector, "ai_api_unpriced") == {"llama3.2:3b": 1}


def test_fastapis_own_telemetry_steps_aside(tmp_path: Path) -> None:
    """FastAPI >= 0.142 traces itself; beside the instrumentation a request is one SERVER span."""
    import urllib.request

    port = free_port()
    with Collector() as collector:
        env = {**sending(collector), "PORT": str(port)}
        with service(["talkweb.py"], tmp_path, env) as one:
            one.until(lambda: answers(port))
            urllib.request.urlopen(f"http://127.0.0.1:{port}/price", timeout=30).close()
            one.stop()
    spans: list[Any] = list(collector.spans(NAMESPACE))
    assert [s.name for s in spans] == ["GET /price"]
    counts = collector.total("http.server.request.duration", by=("http.route",))
    assert set(counts.values()) == {1}
