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


def medians(*words):
    """The median wait and work of every stage, in milliseconds."""
    found = facts("--signals", "20", "--interval-ms", "300", *words)
    return {
        (row["stage"], part): row[part]["p50_ms"]
        for row in found["stages"]
        for part in ("wait", "work")
        if row[part]["p50_ms"] is not None
    }


def test_what_is_slowed_down_moves_its_own_row_and_no_other():
    """50 ms more in the model are validation's work; a pause of 200 ms is execution's wait."""
    usual = medians()
    for words, moved, by in (
        (("--model-latency-ms", "65"), ("validation", "work"), 50),
        (("--executor-pause-ms", "200"), ("execution", "wait"), 200),
    ):
        slow = medians(*words)
        assert slow.keys() == usual.keys()
        rest = {row: slow[row] - usual[row] for row in usual if row != moved}
        assert by * 0.6 < slow[moved] - usual[moved] < by * 3, (words, usual, slow)
        assert max(rest.values()) < by * 0.6, (words, rest)


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
