"""`tradespan demo` as a newcomer runs it: a real process, five real services, figures that hold."""

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from tradespan.backends.embedded import EmbeddedBackend
from tradespan.cli.pipeline import environment
from tradespan.report.figures import ended
from tradespan.report.journeys import gather
from tradespan.report.segments import cut

SERVICES = ["llm-validation", "orchestrator", "risk", "signal-generator", "trade-executor"]
STAGES = ["signal", "orchestration", "validation", "risk", "execution"]


def demo(*words, **environ):
    """Run the demo to its end."""
    return subprocess.run(
        [sys.executable, "-m", "tradespan", "demo", *words],
        capture_output=True,
        text=True,
        timeout=180,
        env={**os.environ, **environ},
    )


def facts(*words, **environ):
    """The JSON object of a run that went well."""
    done = demo("--json", *words, **environ)
    assert done.returncode == 0, done.stderr + done.stdout
    return json.loads(done.stdout)


def test_twenty_signals_and_their_facts():
    """One JSON object on stdout; nothing pending, lost or broken; every sum holds."""
    found = facts("--signals", "20")
    journeys = found["journeys"]
    assert found["signals"] == 20
    assert journeys["filled"] > 0
    assert sum(journeys.values()) == 20
    assert (journeys["pending"], journeys["lost"]) == (0, 0)
    ended = 20 - journeys["skipped"]
    assert found["traces"] == {"complete": ended, "broken": 0, "sampled": False}
    assert found["services"] == SERVICES
    assert found["backend"] == "embedded"
    assert found["pipeline"]["count"] == found["pipeline"]["traced"] == journeys["filled"]
    assert 0 < found["pipeline"]["p50_ms"] <= found["pipeline"]["p95_ms"]
    rows = {row["stage"]: row for row in found["stages"]}
    assert list(rows) == [*STAGES, "outside"]
    assert sum(row["share"] for row in rows.values()) == pytest.approx(1.0, abs=1e-4)
    assert rows["signal"]["count"] == 20
    assert rows["signal"]["outcomes"].get("skipped", 0) == journeys["skipped"]
    assert rows["execution"]["outcomes"]["ok"] == journeys["filled"]
    assert rows["orchestration"]["wait"]["count"] == ended
    assert 0 < found["logs"]["correlated"] <= found["logs"]["total"]
    assert sorted(found["logs"]["by_service"]) == SERVICES


def test_the_table_and_the_waterfall_are_on_stdout_and_progress_is_on_stderr():
    """What a reader pipes into a file is the report alone; OTEL_* of theirs does no harm."""
    done = demo("--signals", "12", OTEL_SDK_DISABLED="true", TRADESPAN="off")
    assert done.returncode == 0, done.stderr
    for stage in STAGES:
        assert f"\n{stage} " in done.stdout
    assert "Signal to fill   p50 " in done.stdout
    assert "One signal, BTC-USD " in done.stdout
    assert "12 of 12 signals have ended" in done.stderr
    assert "have ended" not in done.stdout


def test_nothing_filled_is_not_a_success():
    """An exchange that rejects everything: the report is printed, the status is 1."""
    done = demo("--signals", "10", "--exchange-reject-rate", "1", "--json")
    found = json.loads(done.stdout)
    assert done.returncode == 1
    assert found["journeys"]["filled"] == 0
    assert found["journeys"]["pending"] == 0
    assert found["pipeline"]["p50_ms"] is None


def test_sampled_traces_leave_the_counts_exact():
    """At a ratio of 0.3 fewer journeys have traces, each whole; the metrics count all of them."""
    found = facts(
        "--signals",
        "40",
        OTEL_TRACES_SAMPLER="parentbased_traceidratio",
        OTEL_TRACES_SAMPLER_ARG="0.3",
    )
    assert sum(found["journeys"].values()) == 40
    assert found["traces"]["sampled"] is True
    assert found["traces"]["broken"] == 0
    assert found["traces"]["complete"] < 40 - found["journeys"]["skipped"]


def journeys(pipeline, *flags):
    """The journeys of twenty signals that the pipeline ran with these flags."""
    with EmbeddedBackend() as backend:
        environ = environment(os.environ, endpoint=backend.endpoint, namespace="test")
        with pipeline("--signals", "20", "--interval-ms", "100", *flags, **environ) as p:
            p.until(lambda stats: sum(ended(backend, "test").values()) == 20)
            assert p.stop() == 0
        return gather(backend.spans("test"))


def rows_of(journey, start_ns, end_ns):
    """The rows of the table that this time of a journey went into: (stage, wait or work)."""
    return {
        (segment.stage, segment.part)
        for segment in cut(journey)
        if segment.start_ns < end_ns and segment.end_ns > start_ns
    }


def test_what_the_model_takes_is_validations_work_and_in_no_other_row(pipeline):
    """65 ms in the model server: all of it, to the nanosecond, of every signal that asked it."""
    asked = [
        (journey, call)
        for journey in journeys(pipeline, "--model-latency-ms", "65")
        for call in journey.spans
        if str(call.attributes.get("url.full")).endswith("/api/generate")
    ]
    assert len(asked) >= 5
    for journey, call in asked:
        assert call.duration_ns >= 64_000_000
        assert rows_of(journey, call.start_ns, call.end_ns) == {("validation", "work")}


def test_what_the_executor_pauses_is_executions_wait_and_in_no_other_row(pipeline):
    """200 ms before each batch: all of it, to the nanosecond, of the order that was there first."""
    found = journeys(pipeline, "--executor-pause-ms", "200")
    executions = sorted(
        (span.start_ns, span.end_ns, journey)
        for journey in found
        for span in journey.stages
        if span.stage == "execution"
    )
    paused = 199_000_000
    idle_since, firsts = 0, []
    for start, end, journey in executions:
        if start - idle_since >= paused:  # it paused just before this one, for this one
            firsts.append((start, journey))
        idle_since = end
    assert firsts
    for start, journey in firsts:
        assert rows_of(journey, start - paused, start) == {("execution", "wait")}


def test_flags_of_the_pipeline_reach_it_and_its_rows():
    """The same two through the demo: no median is below what was asked for."""
    flags = ("--model-latency-ms", "65", "--exchange-latency-ms", "30")
    rows = {row["stage"]: row for row in facts("--signals", "12", *flags)["stages"]}
    assert rows["validation"]["work"]["p50_ms"] >= 64
    assert rows["execution"]["work"]["p50_ms"] >= 29


def alive(mark):
    """Processes whose environment carries this mark."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (folder / "environ").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue
    return found


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_stops_every_service(number):
    """Ctrl-C, or a SIGTERM: status 130, and no process of the run is left."""
    mark = f"MARK={uuid.uuid4()}"
    key, value = mark.split("=")
    child = subprocess.Popen(
        [sys.executable, "-m", "tradespan", "demo", "--signals", "5000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, key: value},
    )
    for line in child.stderr:
        if "services are ready" in line:
            break
    assert len(alive(mark)) >= 7
    child.send_signal(number)
    out, err = child.communicate(timeout=60)
    assert child.returncode == 130, err
    assert out == ""
    assert "Traceback" not in err
    deadline = time.monotonic() + 10
    while alive(mark) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert alive(mark) == []
