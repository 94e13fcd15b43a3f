"""The example on Redis streams: journeys over three streams, and faults that are really counted."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from ..support.launched import Example
from .support.collector import NAMESPACE, Collector

WAY = {"market:signal", "decider:decision", "trader:execution", "risk-watch:valuation"}
REASONS = {"missing", "malformed", "foreign", "stale", "skew"}
ENOUGH = 150  # ticks

Ran = tuple[Collector, dict[str, dict[str, Any]]]


@pytest.fixture(scope="module")
def ran() -> Iterator[Ran]:
    """What arrived of a run, and what its programs had counted just before it was stopped."""
    with Collector() as collector:
        environ = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
            "OTEL_METRIC_EXPORT_INTERVAL": "500",
            "OTEL_RESOURCE_ATTRIBUTES": f"service.namespace={NAMESPACE}",
        }
        with Example("streams", **environ) as example:
            deadline, stats = time.monotonic() + 90, {}
            while not stats or stats["trader"]["again"] < 2 or stats["market"]["ticks"] < ENOUGH:
                assert time.monotonic() < deadline, example.said()
                time.sleep(0.2)
                stats = {name: example.ask(f"{name}/stats") for name in ("market", "trader")}
            while not collector.total("trading.handoff.anomalies", where={"reason": "stale"})[()]:
                assert time.monotonic() < deadline, example.said()
                time.sleep(0.2)
            assert example.stop() == 0
            assert "Traceback" not in example.said()
        yield collector, stats


def test_journeys_are_whole(ran: Ran) -> None:
    """From the tick to the valuation a journey is one trace, in which no parent is missing."""
    spans = ran[0].all_spans
    ids = {span.span_id for span in spans}
    journeys = [[s for s in spans if s.signal_id == i] for i in {s.signal_id for s in spans}]
    whole = [js for js in journeys if {f"{s.service}:{s.stage}" for s in js} >= WAY]
    assert len(whole) > ENOUGH / 2
    assert all(len({s.trace_id for s in js}) == 1 for js in whole)
    assert all(s.parent_id is None or s.parent_id in ids for js in whole for s in js)


def test_faults_are_counted(ran: Ran) -> None:
    """Every reason for doubt occurs, and an entry that came again is seen to."""
    collector, stats = ran
    anomalies = collector.total("trading.handoff.anomalies", by=("reason",))
    assert {reason for (reason,), times in anomalies.items() if times} == REASONS
    again = collector.total("trading.journey.redelivered", by=("reason",))
    assert again["entry",] >= stats["trader"]["again"] >= 2
    broken = collector.total("trading.journey.broken")[()]
    assert collector.total("trading.journey.begun", where={"trigger": "broken"})[()] == broken > 0
    failures = collector.total("tradespan.telemetry.failures", by=("site",))
    assert {site for (site,), times in failures.items() if times} == {"recorders.portfolio"}


def test_limits_hold(ran: Ran) -> None:
    """Six of eight symbols have a name, four of eight marks have a span; nothing is lost."""
    collector, stats = ran
    signals = collector.total("signals_generated", by=("symbol",), where={"signal_type": "tick"})
    ticks = [s for s in collector.all_spans if (s.service, s.stage) == ("market", "signal")]
    whole = [
        s for s in ticks if s.attributes["trading.outcome"] == "ok"
    ]  # SIGTERM cancels the last
    assert len(signals) == 7
    assert sum(signals.values()) == len(whole) >= stats["market"]["ticks"]
    marks = Counter(span.parent_id for span in collector.all_spans if span.stage == "mark")
    assert max(marks.values()) == 4
