"""What a stage records: the domain rules of a desk, in metrics and on spans."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

import tradespan
from tradespan import guard
from tradespan import settings as setting
from tradespan.export.timing import note_remote
from tradespan.settings import Settings
from tradespan.stages import measure

MS = 1_000_000


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Both clocks, standing still until told otherwise."""

    class Clock:
        wall = 1_700_000_000 * 10**9
        steady = 10**9

        def tick(self, milliseconds: float) -> None:
            self.wall += int(milliseconds * MS)
            self.steady += int(milliseconds * MS)

    found = Clock()
    monkeypatch.setattr(time, "time_ns", lambda: found.wall)
    monkeypatch.setattr(time, "time", lambda: found.wall / 1e9)
    monkeypatch.setattr(time, "perf_counter_ns", lambda: found.steady)
    return found


def settle(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> None:
    """Settings of this process, with these changes."""
    monkeypatch.setattr(setting, "current", replace(setting.current, **changes))


def handed_off(**signal: Any) -> dict[str, str]:
    """A hand-off of a fresh journey."""
    with tradespan.signal(**signal):
        return dict(tradespan.inject({}))


# --- HOLD, rejected, manual, retried, ended twice


def test_hold_leaves_no_trace_but_counts(telemetry: Any) -> None:
    """A signal that ends skipped exports no span, nor do its children; the metrics know it."""
    with tradespan.signal(symbol="BTC-USD", signal_type="momentum") as s:
        with tradespan.stage("features"):
            pass
        s.skip("HOLD")
    assert telemetry.spans == []
    assert telemetry.total("trading.stage.duration", stage="signal", outcome="skipped") == 1
    assert telemetry.total("trading.pipeline.duration", outcome="skipped") == 1
    assert telemetry.total("signals_generated", symbol="BTC-USD", signal_type="momentum") == 1


@pytest.mark.parametrize("outcome", ["ok", "rejected", "error"])
def test_every_other_signal_is_exported_whole(telemetry: Any, outcome: Any) -> None:
    """Spans held until the signal is decided are all exported when it is not skipped."""
    with tradespan.signal() as s:
        with tradespan.stage("features"):
            pass
        s.end_as(outcome)
    assert [s.name for s in telemetry.spans] == ["features", "signal"]


@pytest.mark.parametrize(
    ("make", "outcome", "ends"),
    [
        (tradespan.signal, "ok", False),
        (tradespan.signal, "rejected", True),
        (tradespan.signal, "error", True),
        (tradespan.orchestration, "ok", False),
        (tradespan.orchestration, "error", False),
        (tradespan.orchestration, "rejected", True),
        (tradespan.validation, "rejected", False),
        (tradespan.risk, "rejected", False),
        (tradespan.execution, "ok", True),
        (tradespan.execution, "rejected", True),
        (tradespan.execution, "error", True),
        (lambda c: tradespan.stage("x", c), "ok", False),
        (lambda c: tradespan.stage("x", c, ends=True), "ok", True),
        (lambda c: tradespan.execution(c, ends=False), "ok", False),
    ],
)
def test_who_ends_the_journey(telemetry: Any, make: Any, outcome: Any, ends: bool) -> None:
    """The registry, or `ends=`, says which outcomes of a stage end the journey."""
    args = () if make is tradespan.signal else (handed_off(),)
    with make(*args) as s:
        s.end_as(outcome)
    marks = [s for s in telemetry.spans if "trading.journey.end" in s.attributes]
    assert len(marks) == telemetry.total("trading.pipeline.duration") == int(ends)
    if ends:
        assert telemetry.total("trading.pipeline.duration", outcome=outcome) == 1


def test_a_manual_order(telemetry: Any) -> None:
    """An execution without a signal is a journey of its own, outside signal-to-fill."""
    with tradespan.execution(symbol="BTC-USD", side="sell") as e:
        e.filled(1.0, 2.0)
    assert telemetry.span("execution").attributes["trading.trigger"] == "manual"
    assert telemetry.total("trading.journey.begun", trigger="manual") == 1
    assert telemetry.total("trading.journey.begun", trigger="signal") == 0
    assert telemetry.total("trading.pipeline.duration") == 0
    assert telemetry.total("trading.stage.duration", stage="execution", outcome="ok") == 1


def test_a_manual_journey_stays_manual_across_a_handoff(telemetry: Any) -> None:
    """What a stage without a signal began stays outside signal-to-fill in the next service."""
    with tradespan.risk():
        fields = tradespan.inject({})
    with tradespan.execution(carrier=fields) as e:
        e.filled(1.0, 2.0)
    assert telemetry.span("execution").attributes["trading.trigger"] == "manual"
    assert telemetry.total("trading.pipeline.duration") == 0


def test_a_signal_inside_another_journey_is_a_trace_of_its_own(telemetry: Any) -> None:
    """A signal always begins a journey; one that goes on around it is linked, not joined."""
    with tradespan.extract(handed_off()) as outer:
        with tradespan.signal() as s:
            pass
    first, second = telemetry.spans
    assert outer is not None
    assert s.signal_id != outer.signal_id
    assert first.context.trace_id != second.context.trace_id
    assert second.links[0].context.span_id == first.context.span_id


def test_a_new_journey_takes_no_wait_from_another_ones_handoff(telemetry: Any) -> None:
    """A signal begun where another journey arrived leaves that hand-off's wait and stamp alone."""
    with tradespan.extract(handed_off()), tradespan.signal(), tradespan.risk() as r:
        pass
    assert r.wait is None
    assert telemetry.total("trading.stage.wait") == 0


def test_the_journey_ends_once(telemetry: Any) -> None:
    """A second end of one journey is counted as such, and recorded no second time."""
    fields = handed_off()
    for _ in range(2):
        with tradespan.execution(carrier=fields) as e:
            e.filled(1.0, 2.0)
    assert telemetry.total("trading.pipeline.duration") == 1
    assert telemetry.total("trading.journey.redelivered", reason="ended") == 1
    assert telemetry.total("trading.stage.duration", stage="execution") == 2
    first, second = (s for s in telemetry.spans if s.name == "execution")
    assert first.attributes["trading.journey.end"] is True
    assert "trading.journey.end" not in second.attributes


def test_a_retry_leaves_the_journey_open(telemetry: Any) -> None:
    """An attempt that will be made again is an error of the stage; the last one ends it."""
    fields = handed_off()
    with tradespan.execution(carrier=fields) as e:
        e.retry("503")
    assert telemetry.total("trading.pipeline.duration") == 0
    with tradespan.execution(carrier=fields) as e:
        e.filled(1.0, 2.0)
    assert telemetry.total("trading.pipeline.duration", outcome="ok") == 1
    assert telemetry.total("trading.journey.redelivered", reason="ended") == 0
    assert telemetry.total("trading.stage.duration", stage="execution", outcome="error") == 1


def test_redelivery(telemetry: Any, clock: Any) -> None:
    """The same entry again: the attempt rises, the wait is from the first hand-off, it counts."""
    fields = handed_off()
    for _ in range(3):
        clock.tick(100)
        with tradespan.orchestration(carrier=fields):
            pass
    spans = [s.attributes for s in telemetry.spans if s.name == "orchestration"]
    assert [a.get("trading.attempt") for a in spans] == [None, 2, 3]
    assert [a["trading.wait"] for a in spans] == pytest.approx([0.1, 0.2, 0.3])
    assert telemetry.total("trading.journey.redelivered", reason="entry") == 2


def test_the_same_entry_in_two_stages_is_no_redelivery(telemetry: Any) -> None:
    """Two consumer groups, two stages: each sees the entry for the first time."""
    fields = handed_off()
    for name in ("orchestration", "archive"):
        with tradespan.stage(name, carrier=fields):
            pass
    assert telemetry.total("trading.journey.redelivered") == 0


def test_an_attempt_that_the_caller_knows(telemetry: Any) -> None:
    """`attempt=` of the queue's own count stands, where we see the entry for the first time."""
    with tradespan.orchestration(carrier=handed_off(), attempt=4):
        pass
    assert telemetry.span("orchestration").attributes["trading.attempt"] == 4
    assert telemetry.total("trading.journey.redelivered", reason="entry") == 1


# --- work, wait, elapsed


def test_work_is_exclusive_of_nested_stages(telemetry: Any, clock: Any) -> None:
    """Orchestration's work is its own time, without validation and risk inside it."""
    with tradespan.orchestration():
        clock.tick(10)
        with tradespan.validation():
            clock.tick(500)
            with tradespan.stage("prompt"):
                clock.tick(100)
        with tradespan.risk():
            clock.tick(20)
        clock.tick(5)
    work = {p.labels["stage"]: p.sum for p in telemetry.metric("trading.stage.duration")}
    assert work == pytest.approx(
        {"orchestration": 0.015, "validation": 0.5, "prompt": 0.1, "risk": 0.02}
    )
    inclusive = {p.labels["stage"]: p.sum for p in telemetry.metric("pipeline_stage_duration")}
    assert inclusive["orchestration"] == pytest.approx(0.635)


def test_concurrent_nested_stages_count_once(telemetry: Any) -> None:
    """Where nested stages overlap, their union is taken out of the work, not their sum."""

    async def nested(name: str) -> None:
        async with tradespan.stage(name):
            await asyncio.sleep(0.05)

    async def main() -> None:
        async with tradespan.orchestration():
            time.sleep(0.03)
            await asyncio.gather(*(nested(f"n{i}") for i in range(4)))

    asyncio.run(main())
    (point,) = telemetry.metric("trading.stage.duration", stage="orchestration")
    assert point.sum >= 0.029


def test_nested_stages_in_threads_count_once(telemetry: Any) -> None:
    """The same for stages that carry the context into threads."""

    def nested(name: str) -> None:
        with tradespan.stage(name):
            time.sleep(0.05)

    with tradespan.orchestration(), ThreadPoolExecutor(3) as pool:
        time.sleep(0.03)
        for i in range(3):
            pool.submit(copy_context().run, nested, f"n{i}")
    (point,) = telemetry.metric("trading.stage.duration", stage="orchestration")
    assert point.sum >= 0.029


def test_stages_of_another_service_are_taken_out_too(telemetry: Any, clock: Any) -> None:
    """What a called service says its stages took is not this stage's work; never more than the
    call."""
    with tradespan.orchestration():
        clock.tick(10)
        began = clock.steady
        clock.tick(50)
        note_remote(["cache;dur=3, tradespan;dur=30.000"], began)
        began = clock.steady
        clock.tick(5)
        note_remote(["tradespan;dur=99999.0"], began)
        note_remote(["", "nonsense", "tradespan;dur=-1"], began)
    (point,) = telemetry.metric("trading.stage.duration")
    assert point.sum == pytest.approx(0.030)


def test_wait_elapsed_and_signal_to_fill(telemetry: Any, clock: Any) -> None:
    """Wait is hand-off to start, elapsed and signal-to-fill count from the origin."""
    with tradespan.signal():
        clock.tick(100)
        fields = tradespan.inject({})
        clock.tick(50)
    clock.tick(200)
    with tradespan.execution(carrier=fields) as e:
        clock.tick(30)
        e.filled(1.0, 2.0)
    assert telemetry.span("execution").attributes["trading.wait"] == pytest.approx(0.25)
    assert telemetry.metric("trading.stage.wait", stage="execution")[0].sum == pytest.approx(0.25)
    assert telemetry.metric("trading.stage.wait", stage="signal") == []
    elapsed = {p.labels["stage"]: p.sum for p in telemetry.metric("trading.stage.elapsed")}
    assert elapsed == pytest.approx({"signal": 0.15, "execution": 0.38})
    assert telemetry.metric("trading.pipeline.duration")[0].sum == pytest.approx(0.38)


def test_a_clock_set_back_makes_nothing_negative(telemetry: Any, clock: Any) -> None:
    """A wall clock before origin and stamp: no wait or elapsed below zero, and the skew counts."""
    fields = handed_off()
    clock.wall -= 3600 * 10**9
    with tradespan.execution(carrier=fields) as e:
        e.filled(1.0, 2.0)
    assert telemetry.span("execution").attributes["trading.wait"] == 0.0
    for name in ("trading.stage.wait", "trading.stage.elapsed", "trading.pipeline.duration"):
        assert telemetry.metric(name)[-1].sum >= 0.0
    assert telemetry.total("trading.handoff.anomalies", reason="skew", stage="execution") == 1


def test_a_stale_stamp(telemetry: Any, clock: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stamp older than the longest wait gives no wait, and is counted."""
    settle(monkeypatch, max_wait=60.0)
    fields = handed_off()
    clock.tick(61_000)
    with tradespan.execution(carrier=fields):
        pass
    assert "trading.wait" not in telemetry.span("execution").attributes
    assert telemetry.total("trading.stage.wait") == 0
    assert telemetry.total("trading.handoff.anomalies", reason="stale") == 1


def test_the_wait_belongs_to_the_first_stage(telemetry: Any) -> None:
    """Nested and sibling stages of one hand-off do not count its wait again."""
    with tradespan.extract(handed_off()):
        with tradespan.orchestration(), tradespan.risk():
            pass
        with tradespan.validation():
            pass
    assert telemetry.total("trading.stage.wait", stage="orchestration") == 1
    assert telemetry.total("trading.stage.wait") == 1
    assert telemetry.total("trading.handoff.anomalies") == 0


# --- run modes, budgets, catalogue metrics, feeds


@pytest.mark.parametrize("mode", ["live", "paper", "backtest", "synthetic"])
def test_a_foreign_journey_is_traced_but_not_measured(
    telemetry: Any, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    """A journey of another run mode is marked and counted, and pollutes no stage metric."""
    settle(monkeypatch, mode=mode)
    fields = handed_off()
    telemetry.metric("trading.stage.duration")
    telemetry.points.clear()
    settle(monkeypatch, mode="replay")
    with tradespan.execution(carrier=fields, symbol="BTC-USD") as e:
        e.filled(1.0, 2.0)
    span = telemetry.span("execution")
    assert span.attributes["trading.mode"] == mode
    assert span.attributes["trading.outcome"] == "ok"
    assert span.attributes["trading.journey.end"] is True
    assert telemetry.total("trading.journey.foreign", mode=mode) == 1
    for name in ("duration", "wait", "elapsed", "active", "over_budget"):
        assert telemetry.total(f"trading.stage.{name}") == 0
    assert telemetry.total("trading.pipeline.duration") == 0
    assert telemetry.total("trade_executions") == 0
    assert telemetry.total("pipeline_stage_duration") == 0


def test_budgets(telemetry: Any, clock: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work above its budget counts; nested stages' time is not held against the outer one."""
    settle(monkeypatch, budgets={"risk": 0.02, "orchestration": 0.1, "total": 3.0})
    for milliseconds in (19, 21, 500):
        with tradespan.orchestration(), tradespan.risk():
            clock.tick(milliseconds)
    assert telemetry.total("trading.stage.over_budget", stage="risk") == 2
    assert telemetry.total("trading.stage.over_budget", stage="orchestration") == 0
    assert telemetry.last("trading.stage.budget", stage="risk") == 0.02
    assert telemetry.last("trading.stage.budget", stage="orchestration") == 0.1
    assert telemetry.last("trading.stage.budget", stage="total") == 3.0


def test_without_budgets_there_is_no_budget_gauge(telemetry: Any) -> None:
    """A budget that nobody declared is not shown as zero."""
    with tradespan.risk():
        pass
    assert telemetry.metric("trading.stage.budget") == []
    assert telemetry.total("trading.stage.over_budget", stage="risk") == 0


def test_active_counts_what_is_running(telemetry: Any) -> None:
    """Up while the stage goes on, down again when it has ended."""
    with tradespan.risk(), tradespan.stage("inner"):
        assert telemetry.last("trading.stage.active", stage="risk") == 1
    assert telemetry.last("trading.stage.active", stage="risk") == 0


def test_names_without_end_are_not_remembered(
    telemetry: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever pipelines hand-offs bring, the memory of them is bounded."""
    monkeypatch.setattr(measure, "_MOST", 3)
    for number in range(10):
        with tradespan.stage(f"step-{number}"):
            pass
    assert len(telemetry.metric("trading.stage.active")) == 3
    assert telemetry.total("trading.stage.duration") == 10


def test_the_pipeline_label_is_the_journeys(
    telemetry: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Metrics of a stage carry the pipeline in which its journey began."""
    settle(monkeypatch, pipeline="crypto")
    fields = handed_off()
    settle(monkeypatch, pipeline="other-service")
    with tradespan.execution(carrier=fields) as e:
        e.filled(1.0, 2.0)
    assert telemetry.total("trading.pipeline.duration", pipeline="crypto") == 1
    assert telemetry.span("execution").attributes["trading.pipeline"] == "crypto"


@pytest.mark.parametrize(
    ("mode", "event_time", "age"),
    [
        ("live", 1_699_999_990.0, 10.0),
        ("live", datetime.fromtimestamp(1_699_999_990, UTC), 10.0),
        ("live", datetime.fromtimestamp(1_700_000_060, UTC), 0.0),
        ("live", None, None),
        ("live", "yesterday", None),
        ("replay", 1_699_999_990.0, None),
    ],
)
def test_feed_age(
    telemetry: Any,
    clock: Any,
    monkeypatch: pytest.MonkeyPatch,
    mode: str,
    event_time: Any,
    age: float | None,
) -> None:
    """In live mode only, the age of the newest market event, never negative."""
    settle(monkeypatch, mode=mode)
    with tradespan.signal(symbol="BTC-USD", event_time=event_time):
        pass
    assert telemetry.last("trading.feed.age", feed="BTC-USD") == age


def feed_age(telemetry: Any, feed: str) -> Any:
    """What the gauge shows now, None where it shows nothing."""
    telemetry.points.clear()
    return telemetry.last("trading.feed.age", feed=feed)


def test_a_feed_ages_while_nothing_comes(
    telemetry: Any, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A silent feed is what the gauge is for; the next event makes it fresh again."""
    settle(monkeypatch, mode="live")
    for symbol in ("BTC-USD", "ETH-USD"):
        with tradespan.signal(symbol=symbol, event_time=time.time() - 1):
            pass
    clock.tick(3000)
    with tradespan.signal(symbol="ETH-USD", event_time=time.time()):
        pass
    assert [feed_age(telemetry, feed) for feed in ("BTC-USD", "ETH-USD")] == [4.0, 0.0]


def test_a_late_event_makes_no_feed_older(
    telemetry: Any, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest counts, in whatever order they come; one said to be ahead came now."""
    settle(monkeypatch, mode="live")
    for event_time in (time.time() + 3600, time.time() - 3600):
        with tradespan.signal(symbol="BTC-USD", event_time=event_time):
            pass
    clock.tick(2000)
    assert feed_age(telemetry, "BTC-USD") == 2.0


def test_milliseconds_are_no_event_time(
    telemetry: Any, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A time of the far future would be fresh for ever: it is a failure, and told nowhere else."""
    settle(monkeypatch, mode="live")
    for event_time in (time.time() * 1000, math.inf, math.nan):
        with tradespan.signal(symbol="BTC-USD", event_time=event_time):
            pass
    assert feed_age(telemetry, "BTC-USD") is None
    assert guard.failures == {"stage.metrics": 1}


def test_event_time_is_never_subtracted_from_the_wall_clock_in_a_replay(telemetry: Any) -> None:
    """A bar of years ago leaves elapsed and signal-to-fill what the wall clock says."""
    with tradespan.signal(event_time=datetime.now(UTC) - timedelta(days=900)) as s:
        s.reject()
    assert telemetry.metric("trading.stage.elapsed")[0].sum < 60
    assert telemetry.metric("trading.pipeline.duration")[0].sum < 60


def test_ids_prices_and_free_text_stay_out_of_metrics(telemetry: Any) -> None:
    """No metric has a label with an id, a price or a reason in it."""
    with tradespan.signal(signal_id="sig-1", symbol="BTC-USD"):
        fields = tradespan.inject({})
    with tradespan.execution(carrier=fields, symbol="BTC-USD", note="free text") as e:
        e.filled(0.123, 97_123.0, order_id="o-1").set(reason="free text")
    telemetry.metric("trading.stage.duration")
    texts = {str(v) for points in telemetry.points.values() for p in points for v in p.labels}
    texts |= {
        str(v) for points in telemetry.points.values() for p in points for v in p.labels.values()
    }
    assert not texts & {"sig-1", "o-1", "free text", "0.123", "97123.0", "note", "reason"} - {
        "reason"
    }


def test_settings_of_nobody(telemetry: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """With settings that nobody ever touched, stages work: pipeline `default`, mode live."""
    monkeypatch.setattr(setting, "current", Settings())
    with contextlib.suppress(ValueError), tradespan.signal():
        raise ValueError
    assert telemetry.total("trading.pipeline.duration", pipeline="default", outcome="error") == 1


@pytest.mark.parametrize("confidence", [float("nan"), float("inf"), "high", Decimal("NaN"), -1])
def test_a_value_that_is_no_number_is_counted_and_left_out(telemetry: Any, confidence: Any) -> None:
    """NaN in a sum would make all of it NaN; the failure is counted, the others are recorded."""
    for value in (0.5, confidence):
        with tradespan.signal(symbol="BTC-USD", signal_type="buy") as s:
            s.confidence(value)
    (point,) = telemetry.metric("signal_confidence")
    assert (point.count, point.sum) == (1, 0.5)
    assert guard.failures == {"stage.metrics": 1}
    assert telemetry.total("signals_generated") == 2
