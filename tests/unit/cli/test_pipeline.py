"""The example pipeline as a child: its environment, its failures, and that nothing stays."""

import os
import sys
import time

import pytest

from tradespan.cli.pipeline import ExamplePipeline, PipelineError, environment
from tradespan.cli.progress import Progress

READY = (
    'print(json.dumps({"services": {"risk": {"url": "http://x", "pid": os.getpid()}}}), flush=True)'
)


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Put a script in the place of run.py; returns how to write it."""
    folder = tmp_path / "examples" / "crypto_pipeline"
    folder.mkdir(parents=True)
    monkeypatch.setattr("tradespan.cli.pipeline.path", lambda name: tmp_path / name)

    def write(*lines):
        body = "\n".join(["import json, os, signal, sys, time", *lines])
        (folder / "run.py").write_text(body)
        return ExamplePipeline(["--signals", "3"], os.environ, verbose=False)

    return write


def test_the_environment_is_hermetic():
    """The user's telemetry settings do not reach the demo; sampler, resource and the rest do."""
    user = {
        "PATH": "/bin",
        "OTEL_SDK_DISABLED": "true",
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "https://elsewhere",
        "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
        "OTEL_TRACES_SAMPLER_ARG": "0.1",
        "OTEL_RESOURCE_ATTRIBUTES": "team=desk",
        "TRADESPAN": "off",
        "TRADESPAN_CACHE": "/cache",
        "NO_PROXY": "intern",
    }
    found = environment(user, endpoint="http://127.0.0.1:9", namespace="demo-1")
    assert "OTEL_SDK_DISABLED" not in found
    assert "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT" not in found
    assert "TRADESPAN" not in found
    assert found["PATH"] == "/bin"
    assert found["TRADESPAN_CACHE"] == "/cache"
    assert found["OTEL_TRACES_SAMPLER_ARG"] == "0.1"
    assert found["OTEL_RESOURCE_ATTRIBUTES"] == "team=desk,service.namespace=demo-1"
    assert found["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://127.0.0.1:9"
    assert found["TRADESPAN_MODE"] == "replay"
    assert found["NO_PROXY"] == "intern,127.0.0.1,localhost"


def test_it_is_ready_when_it_says_so_and_stops_when_told(program):
    """The one JSON line is its word; other lines on stdout are left alone; SIGTERM ends it."""
    child = program("print('hello')", READY, "time.sleep(60)")
    with child:
        services = child.wait_until_ready()["services"]
        pid = services["risk"]["pid"]
        child.check()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_an_early_end_is_told_with_its_last_words(program):
    """What the services printed last stands in the hint."""
    with program("print('no port left', file=sys.stderr)", "sys.exit(3)") as child:
        with pytest.raises(PipelineError, match="ended by itself with status 3") as failure:
            child.wait_until_ready()
        assert "no port left" in failure.value.hint


def test_a_child_that_ignores_sigterm_is_killed_in_the_end(program, monkeypatch):
    """Stopping is bounded."""
    monkeypatch.setattr("tradespan.cli.pipeline._STOP_S", 0.3)
    child = program("signal.signal(15, signal.SIG_IGN)", READY, "time.sleep(60)")
    with child:
        child.wait_until_ready()
        assert child.stop() == -9


def test_flags_reach_the_program(program):
    """run.py gets the words after its name, the interpreter is this one."""
    child = program(
        "print(json.dumps({'services': {}, 'argv': sys.argv[1:], 'exe': sys.executable}),"
        " flush=True)",
        "time.sleep(60)",
    )
    with child:
        said = child.wait_until_ready()
    assert (said["argv"], said["exe"]) == (["--signals", "3"], sys.executable)


class Screen:
    """A text stream that is, or is not, a terminal."""

    def __init__(self, live):
        self.live, self.text = live, ""

    def isatty(self):
        return self.live

    def write(self, text):
        self.text += text

    def flush(self):
        pass


def test_progress_on_a_terminal_is_one_line_written_over():
    """A shorter text leaves nothing of a longer one."""
    screen = Screen(live=True)
    progress = Progress(60, screen)
    progress.show({"ok": 3, "skipped": 10})
    progress.finish({"ok": 4})
    long, short = screen.text.split("\r")[1:]
    assert long == "13 of 60 signals have ended: 3 filled, 10 skipped (HOLD)"
    assert short.rstrip() == "4 of 60 signals have ended: 4 filled"
    assert len(short) == len(long) + 1
    assert screen.text.count("\n") == 1


def test_progress_in_a_log_is_a_line_every_few_seconds(monkeypatch):
    """Not a line a poll."""
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    screen = Screen(live=False)
    progress = Progress(60, screen)
    for _ in range(50):
        now[0] += 0.2
        progress.show({"ok": 1})
    progress.finish({"ok": 2})
    assert screen.text.splitlines() == ["1 of 60 signals have ended: 1 filled"] * 2 + [
        "2 of 60 signals have ended: 2 filled"
    ]
