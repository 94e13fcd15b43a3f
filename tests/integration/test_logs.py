"""Log records are exported once, with the journey's ids, and the console is left as it was."""

from __future__ import annotations

import re
import signal
import urllib.request
from collections import Counter
from pathlib import Path

import pytest

from .support.collector import Collector
from .support.services import answers, free_port, run, service

WAYS = ["nothing", "basic", "debug", "dict"]
INSIDE = [
    "an info line for BTC-USD",
    "a warning line",
    "an exception line",
    "an error line",
]
OUTSIDE = ["a line outside", "a child's line"]


def sending(collector: Collector) -> dict[str, str]:
    """Settings of a service that exports often, so that the export itself could be heard."""
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
        "OTEL_BLRP_SCHEDULE_DELAY": "50",
        "OTEL_BSP_SCHEDULE_DELAY": "50",
        "OTEL_METRIC_EXPORT_INTERVAL": "100",
    }


@pytest.mark.parametrize("way", WAYS)
def test_the_console_is_left_as_it_was(way: str, tmp_path: Path) -> None:
    """Stdout and stderr are, to the letter, those of the service without tradespan."""
    bare = run(["talker.py", way], tmp_path / "bare", instrumented=False)
    with Collector() as collector:
        assert run(["talker.py", way], tmp_path, sending(collector)) == bare
    assert bare[1] + bare[2], "something is on the console"
    assert "a disabled line" not in bare[1] + bare[2]
    if way == "basic":
        assert "a handled line" in bare[1], "no level holds for a record that is handed in"


def test_what_is_handed_on_asked_or_filtered(tmp_path: Path) -> None:
    """No line more and none less, whoever asks, hands records on, or logs in a filter."""
    bare = run(["handing.py"], tmp_path / "bare", instrumented=False)
    assert "an order failed elsewhere" in bare[1]
    with Collector() as collector:
        code, out, err = run(["handing.py"], tmp_path, sending(collector))
    assert (code, out) == bare[:2]
    assert err == "ours alone\n"
    said = Counter(line.body for line in collector.all_logs)
    assert [said[f"too low{more}"] for more in ("", ", and filtered", ", and made elsewhere")] == [
        1, 1, 1
    ]  # fmt: skip
    assert said["its extra overwrites a record's own"] == 1, "and nothing is raised for it"
    assert said["bad %d"] == 1


@pytest.mark.parametrize("way", WAYS)
def test_each_record_is_exported_once(way: str, tmp_path: Path) -> None:
    """From INFO, but where the service set a level, with trace id and signal id in a journey."""
    with Collector() as collector:
        code, out, _ = run(["talker.py", way, "id"], tmp_path, sending(collector))
    assert code == 0
    signal_id = out.rpartition("signal ")[2].split()[0]
    lines = collector.all_logs
    said = Counter(line.body for line in lines)
    assert [said[body] for body in INSIDE + OUTSIDE] == [1] * 6, said
    assert said["an early line"] == (0 if way == "dict" else 1), "the service disabled this logger"
    unwanted = ("a debug line", "a disabled line", "a chatty line")
    assert [said[body] for body in unwanted] == [0] * 3, "the service wants none of these"
    span = collector.all_spans[0]
    for line in lines:
        inside = line.body not in OUTSIDE
        assert line.trace_id == (span.trace_id if inside else None)
        assert line.signal_id == (signal_id if inside else None)
    assert collector.severities["INFO"] == 2
    exceptions = [line for line in lines if "exception.type" in line.attributes]
    assert [line.attributes["exception.message"] for line in exceptions] == ["bad price"]


def test_credentials_leave_no_process(tmp_path: Path) -> None:
    """They are masked in what is exported; the console is the service's own."""
    with Collector() as collector:
        code, out, _ = run(["talker.py", "basic"], tmp_path, sending(collector))
    assert code == 0
    assert "hunter2" in out
    exported = " ".join(f"{line.body} {line.attributes}" for line in collector.all_logs)
    assert "login with password=****" in exported
    assert "hunter2" not in exported
    assert "abcdefgh12345678" not in exported


def test_uvicorn(tmp_path: Path) -> None:
    """Its console stays, access log and all; its records and the service's are exported once."""
    consoles = []
    for instrumented in (False, True):
        port = free_port()
        with Collector() as collector:
            env = {**sending(collector), "PORT": str(port)}
            folder = tmp_path / str(instrumented)
            with service(["talkweb.py"], folder, env, instrumented=instrumented) as one:
                one.until(lambda port=port: answers(port))
                url = f"http://127.0.0.1:{port}/price"
                assert urllib.request.urlopen(url, timeout=30).status == 200
                assert one.stop() == -signal.SIGTERM
                console = one.stdout + one.stderr
                consoles.append(re.sub(r"\[\d+\]|:\d+", "", console))
    assert consoles[0] == consoles[1]
    said = Counter(line.body for line in collector.all_logs)
    assert said["a warning line"] == said["Application startup complete."] == 1
    access = [line for line in collector.all_logs if "GET /price" in line.body]
    assert len(access) == 1
    inside = [line for line in collector.all_logs if line.body == "a warning line"]
    assert inside[0].trace_id == collector.all_spans[0].trace_id


@pytest.mark.parametrize("way", ["nothing", "debug"])
def test_no_recursion_without_a_collector(way: str, tmp_path: Path) -> None:
    """A failed export does not log what is exported and fails again: one line more, no end."""
    env = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{free_port()}",
        "OTEL_BLRP_SCHEDULE_DELAY": "50",
        "OTEL_EXPORTER_OTLP_TIMEOUT": "1",
    }
    bare = run(["talker.py", way], tmp_path / "bare", instrumented=False)
    code, out, err = run(["talker.py", way], tmp_path, env)
    assert (code, out) == bare[:2]
    more = [line for line in err.splitlines() if "no collector" in line]
    assert len(more) == 1, err
    assert [line for line in err.splitlines() if line not in more] == bare[2].splitlines()


def test_a_console_that_disables_loggers_still_hears_of_an_outage(tmp_path: Path) -> None:
    """dictConfig disables loggers that were there before it; the one line is said all the same."""
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{free_port()}"}
    _, _, err = run(["talker.py", "dict"], tmp_path, env)
    assert sum("no collector" in line for line in err.splitlines()) == 1
