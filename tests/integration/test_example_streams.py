"""The example on Redis streams: journeys over three streams, and faults that are really counted."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

import pytest

from ..support.launched import Example
from .support.collector import NAMESPACE, Collector

WAY = {"market:signal", "decider:decision", "trader:execution", "risk-watch:valuation"}
ANOMALIES = ("trading.handoff.anomalies", "reason")
FAILURES = ("tradespan.telemetry.failures", "site")
REASONS = {"missing", "malformed", "foreign", "stale", "skew"}

Ran = tuple[Collector, dict[str, dict[str, Any]]]


def whole(collector: Collector) -> list[list[Any]]:
    """The spans of each journey that went all the way."""
    journeys = defaultdict(list)
    for span in collector.all_spans:
        journeys[span.signal_id].append(span)
    return [js for js in journeys.values() if {f"{s.service}:{s.stage}" for s in js} >= WAY]


def counted(collector: Collector, metric: str, by: str) -> set[str]:
    """What a metric has counted at all."""
    return {key for (key,), times in collector.total(metric, by=(by,)).items() if times}


@pytest.fixture(scope="module")
def ran() -> Iterator[Ran]:
    """What arrived of a run, and what its programs had counted just before it was stopped."""
    with Collector() as collector:
        about = {"OTEL_RESOURCE_ATTRIBUTES": f"service.namespace={NAMESPACE}"}
        sending = {**about, "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint}
        with Example("streams", OTEL_METRIC_EXPORT_INTERVAL="500", **sending) as example:
            example.until(lambda: example.ask("trader/stats")["again"] >= 2)
            example.until(lambda: counted(collector, *ANOMALIES) == REASONS)
            example.until(lambda: counted(collector, *FAILURES))
            example.until(lambda: len(whole(collector)) >= 75)
            stats = {name: example.ask(f"{name}/stats") for name in ("market", "trader")}
            assert (example.stop(), "Traceback" in example.said()) == (0, False)
        yield collector, stats


def test_journeys_are_whole(ran: Ran) -> None:
    """From the tick to the valuation a journey is one trace, in which no parent is missing."""
    known = {span.span_id for span in ran[0].all_spans} | {None}
    journeys = whole(ran[0])
    assert all(len({s.trace_id for s in js}) == 1 for js in journeys)
    assert all(s.parent_id in known for js in journeys for s in js)


def test_faults_are_counted(ran: Ran) -> None:
    """Every reason for doubt occurs, and an entry that came again is seen to."""
    collector, stats = ran
    assert counted(collector, *ANOMALIES) == REASONS
    again = collector.total("trading.journey.redelivered", by=("reason",))
    assert again["entry",] >= stats["trader"]["again"] >= 2
    broken = collector.total("trading.journey.broken")[()]
    assert collector.total("trading.journey.begun", where={"trigger": "broken"})[()] == broken > 0
    assert counted(collector, *FAILURES) == {"recorders.portfolio"}


def test_limits_hold(ran: Ran) -> None:
    """Six of eight symbols have a name, four of eight marks have a span; nothing is lost."""
    collector, stats = ran
    signals = collector.total("signals_generated", by=("symbol",), where={"signal_type": "tick"})
    ticks = [s for s in collector.all_spans if (s.service, s.stage) == ("market", "signal")]
    sent = [s for s in ticks if s.attributes["trading.outcome"] == "ok"]  # the last is cut off
    assert len(signals) == 7
    assert sum(signals.values()) == len(sent) >= stats["market"]["ticks"]
    marks = Counter(span.parent_id for span in collector.all_spans if span.stage == "mark")
    assert max(marks.values()) == 4
