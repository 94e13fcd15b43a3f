"""The console of real services as JSON lines, and the same records over OTLP."""

from __future__ import annotations

import json
import re
import signal
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from .support.collector import Collector
from .support.services import BIN, answers, free_port, run, service
from .test_logs import sending

JSON = {"TRADESPAN_LOG_FORMAT": "json"}
OURS = ["basic", "dict", "queue", "structlog-logging", "structlog-formatter"]
THEIRS = ["structlog", "loguru"]
ALWAYS = {"time", "level", "stream", "service", "logger", "message"}
TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")


def lines(console: str) -> list[dict[str, Any]]:
    """Every line of a console; each is one JSON object with the fields that are always there."""
    found = [json.loads(line) for line in console.splitlines()]
    for one in found:
        assert set(one) >= ALWAYS, one
        assert one["service"] == "under-test"
        assert TIME.match(one["time"]), one
    return found


def needs(way: str) -> None:
    """Skip where the library is missing."""
    if way in ("loguru", "structlog", "structlog-logging", "structlog-formatter"):
        library = way.partition("-")[0]
        pytest.importorskip(library, reason=f"{library} is missing (pip install {library})")


@pytest.mark.parametrize("way", [*OURS, *THEIRS])
def test_every_line_is_json(way: str, tmp_path: Path) -> None:
    """By logging, structlog and loguru: the same fields, ids of the stage, nothing secret."""
    needs(way)
    with Collector() as collector:
        code, out, err = run(["structured.py", way], tmp_path, {**sending(collector), **JSON})
    assert code == 0, err
    filled, login, failed, paid = lines(out + err)
    span = next(s for s in collector.all_spans if s.stage == "execution")
    for one in (filled, login, failed):
        assert (one["trace_id"], one["span_id"]) == (span.trace_id, span.span_id)
        assert (one["signal_id"], one["stage"], one["order_id"]) == ("s-1", "execution", "o-1")
    assert (filled["message"], filled["level"]) == ("filled\nin two", "INFO")
    assert (filled["request_id"], filled["stream"]) == ("r-1", "application")
    assert filled["context"] == {"symbol": "BTC-USD", "quantity": 0.5}
    assert (login["message"], login["level"]) == ("password=****", "WARNING")
    assert (failed["level"], failed["stream"]) == ("ERROR", "error")
    assert failed["message"] == "an exception line"
    assert failed["exception"]["type"] == "ValueError"
    assert "ValueError: bad price" in failed["exception"]["stacktrace"]
    assert (paid["stream"], paid["user_id"]) == ("revenue", "u-1")
    assert paid["context"] == {"amount": 9.5}
    assert "trace_id" not in paid
    assert "signal_id" not in paid


@pytest.mark.parametrize("way", [*OURS, *THEIRS])
def test_the_same_record_over_otlp(way: str, tmp_path: Path) -> None:
    """Once, with stream, ids and context as attributes; without the setting too."""
    needs(way)
    with Collector() as collector:
        run(["structured.py", way], tmp_path, sending(collector))
    sent = {line.body: line for line in collector.all_logs}
    assert len(sent) == len(collector.all_logs) == 4
    filled, paid = sent["filled\nin two"], sent["paid"]
    span = next(s for s in collector.all_spans if s.stage == "execution")
    assert (filled.trace_id, filled.signal_id) == (span.trace_id, "s-1")
    for key, value in {
        "trading.log.stream": "application",
        "trading.stage": "execution",
        "trading.order.id": "o-1",
        "trading.request.id": "r-1",
        "symbol": "BTC-USD",
        "quantity": 0.5,
    }.items():
        assert filled.attributes[key] == value, key
    assert paid.attributes["trading.log.stream"] == "revenue"
    assert paid.attributes["trading.user.id"] == "u-1"
    assert paid.attributes["amount"] == 9.5
    assert not {"request_id", "stream", "user_id"} & {*filled.attributes, *paid.attributes}
    failed = sent["an exception line"]
    assert failed.attributes["trading.log.stream"] == "error"
    assert failed.attributes["exception.type"] == "ValueError"
    assert sent["password=****"].attributes["trading.log.stream"] == "application"


@pytest.mark.parametrize("way", OURS)
def test_without_the_setting_the_console_is_unchanged(way: str, tmp_path: Path) -> None:
    """To the letter, apart from the addresses of code that is ours in a stack trace."""
    needs(way)
    bare = run(["structured.py", way], tmp_path / "bare", instrumented=False)
    with Collector() as collector:
        assert run(["structured.py", way], tmp_path / "with", sending(collector)) == bare
    assert bare[1] + bare[2]


def test_a_message_that_cannot_be_made(tmp_path: Path) -> None:
    """The service's own mistake: a line of JSON, one record, and no failure of telemetry."""
    code = (
        "import logging; logging.basicConfig(level=20); logging.info('bad %d', 'x');"
        "from tradespan import guard; logging.info('%s', dict(guard.failures))"
    )
    with Collector() as collector:
        command = [str(BIN / "opentelemetry-instrument"), sys.executable, "-c", code]
        with service(command, tmp_path, {**sending(collector), **JSON}, instrumented=False) as one:
            assert one.wait() == 0
            found = [line["message"] for line in lines(one.stdout + one.stderr)]
    assert found == ["bad %d", "{}"]
    assert sorted(line.body for line in collector.all_logs) == sorted(found)


def test_a_file_stays_as_it_was(tmp_path: Path) -> None:
    """Only what goes to stdout and stderr becomes JSON."""
    with Collector() as collector:
        run(["structured.py", "dict"], tmp_path, {**sending(collector), **JSON})
    text = (tmp_path / "x.log").read_text()
    assert text.startswith("INFO desk filled\nin two\nWARNING desk password=hunter2hunter2\n")


def test_uvicorn(tmp_path: Path) -> None:
    """Its own log configuration, access log and all."""
    port = free_port()
    with Collector() as collector:
        env = {**sending(collector), **JSON, "PORT": str(port)}
        with service(["talkweb.py"], tmp_path, env) as one:
            one.until(lambda: answers(port))
            url = f"http://127.0.0.1:{port}/price"
            assert urllib.request.urlopen(url, timeout=30).status == 200
            assert one.stop() == -signal.SIGTERM
            console = one.stdout + "\n".join(
                line for line in one.stderr.splitlines() if line != "a warning line"
            )
    found = lines(console)
    said = [line["message"] for line in found]
    assert said.count("Application startup complete.") == 1
    (access,) = [line for line in found if line["logger"] == "uvicorn.access"]
    assert '"GET /price HTTP/1.1" 200' in access["message"]
    assert access["trace_id"] == collector.all_spans[0].trace_id
    assert "context" not in access
    assert "a warning line" in one.stderr.splitlines(), "logging's last resort is not configured"


def test_a_setting_that_is_none_is_said(tmp_path: Path) -> None:
    """Loudly, with what is allowed; the service runs on."""
    code, _, err = run(["structured.py", "basic"], tmp_path, {"TRADESPAN_LOG_FORMAT": "xml"})
    assert code == 0
    assert "TRADESPAN_LOG_FORMAT='xml' cannot be used" in err
    assert "one of json, plain" in err
