"""The example of voice, trading and training: two exporters, one process nobody can scrape."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from ..support.launched import Example
from .support.collector import NAMESPACE, Collector


def scraped(url: str) -> dict[tuple[str, str], float]:
    """/metrics: name and reason to value."""
    with urllib.request.urlopen(f"{url}/metrics", timeout=10) as answer:
        families = list(text_string_to_metric_families(answer.read().decode()))
    return {(s.name, s.labels.get("reason", "")): s.value for f in families for s in f.samples}


def quiet(example: Example) -> bool:
    """Whether every trade is closed and has come to training, two rounds of it ago."""
    desk, learner = example.ask("trading/stats"), example.ask("training/stats")
    closed = sum(desk.get(end, 0) for end in ("won", "lost", "flat"))
    if not desk.get("executed") == closed == learner["buffer"]:
        return False
    example.until(lambda: example.ask("training/stats")["rounds"] >= learner["rounds"] + 2)
    return True


@pytest.fixture(scope="module")
def seen() -> Iterator[SimpleNamespace]:
    """One run, until the desk has said all, and every trade is closed and learned from."""
    with Collector() as collector:
        about = {"OTEL_RESOURCE_ATTRIBUTES": f"service.namespace={NAMESPACE}", "CLIPS": "150"}
        sending = {**about, "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint}
        with Example("voice_and_training", interval_ms=20, **sending) as example:
            example.until(lambda: "nobody speaks any more" in example.said())
            example.until(lambda: quiet(example))
            told = {"stats": example.ask("trading/stats"), **example.ask("training/stats")}
            pages = {name: scraped(example.url(name)) for name in ("voice", "trading")}
            told |= {"status": example.stop(), "said": example.said()}
            yield SimpleNamespace(collector=collector, **pages, **told)


def test_a_spoken_order_is_one_trace_to_its_fill(seen: SimpleNamespace) -> None:
    """Conversions on /metrics, trades of the desk and journeys from voice to a fill agree."""
    spans = seen.collector.all_spans
    spoken = {s.trace_id for s in spans if s.service == "voice" and s.stage == "signal"}
    fills = [s for s in spans if s.stage == "execution" and "trading.price" in s.attributes]
    filled = [s for s in fills if s.trace_id in spoken]
    converted = seen.voice["trading_voice_conversions_total", ""]
    assert converted == len(filled) == seen.stats["executed"] > 0
    assert seen.trading["trading_slippage_bps_count", ""] == len(fills) == 2 * len(filled)
    assert seen.trading["trading_journey_redelivered_total", "ended"] == 0


def test_the_exporters_say_what_the_desk_knows(seen: SimpleNamespace) -> None:
    """Every request is timed, each refusal has its reason, each trade is won or lost."""
    page, stats = seen.trading, seen.stats
    rejected = {r: n for (name, r), n in page.items() if name == "trading_orders_rejected_total"}
    assert {reason: n for reason, n in rejected.items() if n} == stats["rejections"]
    closed = page["trading_win_trades", ""] + page["trading_loss_trades", ""]
    assert closed + stats.get("flat", 0) == page["trading_executed_trades", ""]
    reasons = [s.attributes.get("trading.reason") for s in seen.collector.all_spans]
    failed = reasons.count("not understood")
    assert seen.voice["trading_voice_failed_requests", ""] == failed > 0
    requests = seen.voice["trading_voice_total_requests", ""]
    assert requests == seen.voice["trading_voice_latency_seconds_count", ""] > failed


def test_one_path_into_one_prometheus(seen: SimpleNamespace) -> None:
    """What is scraped does not leave by OTLP, what cannot be scraped does."""
    cycles = seen.collector.total("training_cycles", by=("training_type",))
    for kind in ("trades", "conversation"):
        assert cycles[kind,] == seen.cycles[kind] > 0
    assert not seen.collector.total("trading_voice_conversions")
    assert (seen.status, seen.said.count("Traceback")) == (0, 0)
