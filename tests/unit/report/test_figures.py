"""The figures of a run, read from telemetry that a real SDK exported."""

import json

import pytest

from tradespan.report.figures import ended, read_report
from tradespan.report.percentiles import percentiles

STAGES = ["signal", "orchestration", "validation", "risk", "execution"]


def report(pipeline, backend, *, signals, sampled=False):
    """Flush every service and read the figures."""
    pipeline.flush()
    return read_report(backend, pipeline.namespace, signals=signals, sampled=sampled)


def row(found, stage):
    """The row of a stage."""
    (match,) = [row for row in found.stages if row.stage == stage]
    return match


def test_a_good_run_has_every_figure(pipeline, backend):
    """Three fills and one HOLD: counts from metrics, times from traces, everything sound."""
    for number in range(3):
        pipeline.filled(f"s{number}", model_ms=40 + number)
    pipeline.skipped()
    found = report(pipeline, backend, signals=4)
    assert found.is_good
    assert found.as_dict()["journeys"] == {
        "filled": 3,
        "rejected": 0,
        "skipped": 1,
        "failed": 0,
        "pending": 0,
        "lost": 0,
    }
    assert found.as_dict()["traces"] == {"complete": 3, "broken": 0, "sampled": False}
    assert found.services == tuple(sorted(pipeline.services))
    assert (found.pipeline.p50_ms, found.pipeline.p99_ms) == (151.0, 152.0)
    assert found.as_dict()["pipeline"]["count"] == 3
    assert (found.logs.total, found.logs.correlated) == (15, 15)
    assert found.median is not None
    assert found.median.signal_id == "s1"


def test_rows_stand_in_the_order_of_their_start_and_their_shares_add_up(pipeline, backend):
    """signal first, outside last; all the time of all journeys is somewhere."""
    pipeline.filled("s1", model_ms=40)
    pipeline.skipped()
    found = report(pipeline, backend, signals=2)
    assert [row.stage for row in found.stages] == [*STAGES, "outside"]
    assert sum(row.share for row in found.stages) == pytest.approx(1.0)
    assert row(found, "signal").outcomes == {"ok": 1, "skipped": 1}
    assert row(found, "signal").wait.p50_ms is None
    assert row(found, "validation").work.p50_ms == 40.0
    assert row(found, "validation").wait.p50_ms == 2.0
    # 100 ms in all; not those of validation and risk, nor the 10 since the hand-off to execution
    assert row(found, "orchestration").work.p50_ms == 100 - 42 - 12 - 10
    assert row(found, "execution").elapsed.p50_ms == 150.0
    assert row(found, "execution").wait.p50_ms == 20.0
    assert row(found, "outside").work.p50_ms == 0.0


def test_a_slower_model_moves_its_own_row_alone(pipeline, backend):
    """50 ms more in the model are 50 ms more of validation's work, and of nothing else's."""
    pipeline.filled("slow", model_ms=90)
    slow = report(pipeline, backend, signals=1)
    for stage in STAGES:
        expected = {"signal": 5.0, "orchestration": 36.0, "validation": 90.0, "risk": 10.0}
        assert row(slow, stage).work.p50_ms == expected.get(stage, 30.0)


def test_a_signal_whose_end_nobody_reported_is_pending(pipeline, backend):
    """What was asked for and did not end keeps the run from being good."""
    pipeline.filled("s1")
    found = report(pipeline, backend, signals=2)
    assert found.journeys.pending == 1
    assert not found.is_good


def test_a_journey_without_a_trace_is_lost_unless_traces_are_sampled(pipeline, backend):
    """The metric says two fills, one trace is there."""
    pipeline.filled("s1")
    pipeline.filled("s2", traced=False)
    pipeline.flush()
    kept = read_report(backend, pipeline.namespace, signals=2, sampled=False)
    assert (kept.journeys.filled, kept.journeys.lost, kept.is_good) == (2, 1, False)
    sampled = read_report(backend, pipeline.namespace, signals=2, sampled=True)
    assert (sampled.journeys.filled, sampled.journeys.lost, sampled.is_good) == (2, 0, True)
    assert sampled.as_dict()["pipeline"]["count"] == 2
    assert sampled.as_dict()["pipeline"]["traced"] == 1


def test_a_journey_in_two_traces_is_broken_and_says_why(pipeline, backend):
    """The executor began a trace of its own: two traces, two roots."""
    pipeline.filled("s1", parent_of_execution=None)
    found = report(pipeline, backend, signals=1)
    assert found.complete == 0
    assert found.broken == {"s1": ("2 traces instead of one", "2 roots instead of one")}
    assert not found.is_good


def test_a_missing_parent_breaks_a_journey(pipeline, backend):
    """A span whose parent never arrived is an orphan."""
    from opentelemetry import trace

    pipeline.filled("s1")
    found = trace.SpanContext(0xABC, 0xDEF, is_remote=True, trace_flags=trace.TraceFlags(1))
    pipeline.filled("s2", parent_of_execution=found)
    broken = report(pipeline, backend, signals=2).broken
    assert list(broken) == ["s2"]
    assert "1 spans whose parent is missing" in broken["s2"]


def test_other_runs_and_other_spans_do_not_count(pipeline, backend):
    """Another namespace is another run; a span of no journey belongs to none."""
    pipeline.filled("s1")
    pipeline.services["risk"].span("GET /health", 0, 1, kind="SERVER")
    pipeline.flush()
    assert read_report(backend, pipeline.namespace, signals=1, sampled=False).complete == 1
    other = read_report(backend, "test-2", signals=0, sampled=False)
    assert (other.complete, other.journeys.filled, other.services) == (0, 0, ())
    assert ended(backend, "test-2") == {}


def test_an_uncorrelated_log_line_counts_as_such(pipeline, backend):
    """A start-up line belongs to no journey."""
    pipeline.filled("s1")
    pipeline.services["risk"].log("listening")
    found = report(pipeline, backend, signals=1)
    assert (found.logs.total, found.logs.correlated) == (6, 5)
    assert dict(found.logs.by_service)["risk"] == 1


def test_the_json_object_can_be_written_without_any_journey(backend):
    """Nothing arrived: figures are 0 or null, not an error."""
    facts = json.loads(json.dumps(read_report(backend, "none", signals=3, sampled=False).as_dict()))
    assert facts["journeys"]["pending"] == 3
    assert facts["pipeline"]["p50_ms"] is None
    assert [row["stage"] for row in facts["stages"]] == ["outside"]


def test_percentiles_are_nearest_rank():
    """Each is a value that occurred; p99 of few values is their maximum."""
    found = percentiles(range(1_000_000, 101_000_000, 1_000_000))
    assert (found.p50_ms, found.p95_ms, found.p99_ms, found.count) == (50.0, 95.0, 99.0, 100)
    few = percentiles([3_000_000, 1_000_000, 2_000_000])
    assert (few.p50_ms, few.p95_ms, few.p99_ms) == (2.0, 3.0, 3.0)
    assert percentiles([]).p50_ms is None
