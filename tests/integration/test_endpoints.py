"""/metrics and /health of real processes: scripts, uvicorn, gunicorn, reloaders."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as plain

from .support.collector import Collector
from .support.services import BIN, SCRIPTS, Service, answers, free_port, service

OPEN = "application/openmetrics-text; version=1.0.0"


def settings(tmp: Path, **extra: str) -> dict[str, str]:
    """Metrics by scrape alone, with targets, and no collector."""
    return {
        "TRADESPAN_METRICS_PORT": str(free_port()),
        "TRADESPAN_METRICS_TARGETS": str(tmp / "targets"),
        "OTEL_TRACES_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
        "OTEL_METRICS_EXPORTER": "none",
        **extra,
    }


def get(where: str, path: str = "/metrics", accept: str = "") -> str:
    """Ask over HTTP."""
    request = urllib.request.Request(f"http://{where}{path}", headers={"accept": accept})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return str(answer.read().decode())


def families(where: str, path: str = "/metrics", accept: str = "") -> dict[str, Metric]:
    """What a parser reads, each name once."""
    found = list((open_metrics if accept else plain)(get(where, path, accept)))
    assert max(Counter(family.name for family in found).values()) == 1
    return {family.name: family for family in found}


def health(where: str) -> dict[str, Any]:
    """What /health says."""
    found: dict[str, Any] = json.loads(get(where, "/health"))
    return found


def targets(env: dict[str, str]) -> set[str]:
    """Every target in the folder."""
    return {
        one
        for path in Path(env["TRADESPAN_METRICS_TARGETS"]).glob("*.json")
        for group in json.loads(path.read_text())
        for one in group["targets"]
    }


@contextmanager
def served(command: str, tmp: Path, env: dict[str, str], workers: int) -> Iterator[Service]:
    """A server on PORT whose workers have all entered their targets."""
    program, *arguments = command.replace("PORT", env["PORT"]).split()
    with service([str(BIN / program), *arguments], tmp, env) as one:
        one.until(lambda: answers(int(env["PORT"])), "listening")
        one.until(lambda: len(targets(env)) == workers, f"in the targets: {targets(env)}")
        yield one


SERVERS = {
    "uvicorn": ("uvicorn scraped_app:app --port PORT", 1),
    "uvicorn --workers 2": (
        # its supervisor kills what a loaded machine starts slowly
        "uvicorn scraped_app:app --port PORT --workers 2 --timeout-worker-healthcheck 60", 2
    ),
    "gunicorn, 2 workers": (
        "gunicorn scraped_app:app -w 2 -k uvicorn_worker.UvicornWorker -b 127.0.0.1:PORT", 2
    ),
    "gunicorn --preload": (
        "gunicorn scraped_app:app --preload -w 2 -k uvicorn_worker.UvicornWorker -b 127.0.0.1:PORT",
        2,
    ),
    "uvicorn --reload": ("uvicorn scraped_app:app --port PORT --reload", 1),
}  # fmt: skip


@pytest.mark.parametrize(("command", "workers"), SERVERS.values(), ids=SERVERS.keys())
def test_every_worker_is_reached(command: str, workers: int, tmp_path: Path) -> None:
    """Each at a port of its own; one has the port that was set, no supervisor has any."""
    env = settings(tmp_path, PORT=str(free_port()))
    with served(command, tmp_path, env, workers) as one:
        port = env["TRADESPAN_METRICS_PORT"]
        assert f"127.0.0.1:{port}" in targets(env)
        by_pid = {health(where)["pid"]: where for where in targets(env)}
        assert len(by_pid) == workers
        assert (one.pid in by_pid) == (command == SERVERS["uvicorn"][0])
        asked = Counter(
            int(get(f"127.0.0.1:{env['PORT']}", "/assess")) for _ in range(10 * workers)
        )
        assert set(asked) <= set(by_pid)
        seen: Counter[int] = Counter()
        instances = set()
        for pid, where in by_pid.items():
            found = families(where).get("trading_stage_duration_seconds")
            for sample in found.samples if found else ():  # one worker may not have been asked
                if sample.name.endswith("_count"):
                    seen[pid] += int(sample.value)
                    instances.add(sample.labels["service_instance_id"])
        assert seen == asked
        assert len(instances) == len(asked)
        assert one.stop() in (0, -signal.SIGTERM)
        assert not targets(env)
        assert "Traceback" not in one.stderr
        assert "telemetry failed" not in one.stderr


def test_beside_the_applications_own(tmp_path: Path) -> None:
    """The instrumentator keeps its /metrics; ours has its metrics too; its names win, said once."""
    env = settings(tmp_path, PORT=str(free_port()))
    with served(SERVERS["uvicorn"][0], tmp_path, env, 1) as one:
        app = f"127.0.0.1:{env['PORT']}"
        for _ in range(3):
            get(app, "/assess")
        theirs = families(app)
        assert {"http_requests", "desk_orders", "risk_assessments"} <= set(theirs)
        assert not [name for name in theirs if name.startswith("trading_")]
        for where, path in ((app, "/monitoring/metrics"), *((t, "/metrics") for t in targets(env))):
            for accept in ("", OPEN):
                ours = families(where, path, accept)
                assert set(theirs) - {"python_info"} <= {*ours, *(f"{n}_created" for n in ours)} | {
                    name for name in theirs if name.endswith(("_created", "_info"))
                }
                assert "trading_stage_duration_seconds" in ours
                (assessed,) = [
                    s for s in ours["risk_assessments"].samples if s.name.endswith("_total")
                ]
                assert (assessed.labels, assessed.value) == ({}, 3.0)
        assert one.stderr.count("win over ours of the same name: risk_assessments") == 1
        assert json.loads(get(app, "/monitoring/health"))["live"] is True


def test_opentelemetrys_own_variables(tmp_path: Path) -> None:
    """OTEL_METRICS_EXPORTER=prometheus is our /metrics: a second worker is set up all the same."""
    env = settings(tmp_path, PORT=str(free_port()), OTEL_METRICS_EXPORTER="prometheus")
    env["OTEL_EXPORTER_PROMETHEUS_PORT"] = env.pop("TRADESPAN_METRICS_PORT")
    with served(SERVERS["gunicorn, 2 workers"][0], tmp_path, env, 2) as one:
        assert f"127.0.0.1:{env['OTEL_EXPORTER_PROMETHEUS_PORT']}" in targets(env)
        get(f"127.0.0.1:{env['PORT']}", "/assess")
        assert sum("risk_assessments" in families(where) for where in targets(env)) >= 1
        assert "Traceback" not in one.stderr


def test_ten_scrapes_after_ten_flushes(tmp_path: Path) -> None:
    """Flushes put nothing into a scrape: each family stands once, with OTLP on beside it."""
    with Collector() as collector:
        env = settings(
            tmp_path,
            FLUSH="1",
            OTEL_METRICS_EXPORTER="otlp",
            OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint,
        )
        where = f"127.0.0.1:{env['TRADESPAN_METRICS_PORT']}"
        process = subprocess.Popen(
            [str(BIN / "opentelemetry-instrument"), sys.executable, str(SCRIPTS / "scraped.py")],
            env={**settings_of_a_process(tmp_path), **env},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdin
        assert process.stdout
        assert process.stderr
        try:
            assert process.stdout.readline() == "ready\n"
            for number in range(10):
                process.stdin.write(f"{number}\n")
                process.stdin.flush()
                assert process.stdout.readline() == f"flushed {number}\n"
                counted = families(where)["trade_executions"].samples
                assert sum(sample.value for sample in counted) == 1
            assert collector.counted() == {"execution": 1}
        finally:
            process.terminate()
            said = process.stderr.read()
            process.wait()
            process.stdin.close()
            process.stdout.close()
            process.stderr.close()
        assert said.count("every sum doubles") == 1


def settings_of_a_process(tmp: Path) -> dict[str, str]:
    """What any service here is started with."""
    from .support.services import environment

    return environment(tmp)


def test_a_script(tmp_path: Path) -> None:
    """One that is launched, with a hostile symbol; one that calls start itself, without us."""
    env = settings(tmp_path)
    with service(["scraped.py"], tmp_path, env) as one:
        one.until(lambda: "ready" in one.stdout)
        where = f"127.0.0.1:{env['TRADESPAN_METRICS_PORT']}"
        for accept in ("", OPEN):
            found = families(where, accept=accept)["trade_executions"]
            (sample,) = [s for s in found.samples if s.value and s.name.endswith("_total")]
            assert sample.labels["symbol"] == 'BTC"\n\\USD'
            assert sample.labels["service_name"] == "under-test"
            assert sample.labels["trading_mode"] == "replay"
        assert health(where)["service"] == "under-test"
        assert one.stop() == -signal.SIGTERM
        assert one.stderr == ""
        assert not targets(env)
    bare = tmp_path / "bare"
    with service(["scraped.py"], bare, {"START": "0", "TRADESPAN_MODE": "paper"},
                 instrumented=False) as one:  # fmt: skip
        one.until(lambda: "ready" in one.stdout)
        found = families(f"127.0.0.1:{one.stdout.split()[0]}")["trade_executions"]
        (sample,) = [s for s in found.samples if s.value]
        assert sample.labels["trading_mode"] == "paper"
        assert one.stderr == ""


def test_a_one_off_script_beside_the_service(tmp_path: Path) -> None:
    """With the same settings it finds the port taken: both run, and both end as ever."""
    env = settings(tmp_path)
    with service(["scraped.py"], tmp_path / "a", env) as first:
        first.until(lambda: len(targets(env)) == 1)
        with service(["scraped.py"], tmp_path / "b", {**env, "SECONDS": "0.5"}) as second:
            second.until(lambda: len(targets(env)) == 2)
            assert second.wait() == 0
            assert second.stderr == ""
        assert targets(env) == {f"127.0.0.1:{env['TRADESPAN_METRICS_PORT']}"}


def test_killed(tmp_path: Path) -> None:
    """The entry of a process that was killed is removed by the next one."""
    env = settings(tmp_path)
    with service(["scraped.py"], tmp_path / "a", env) as first:
        first.until(lambda: len(targets(env)) == 1)
        first.stop(signal.SIGKILL)
        assert len(targets(env)) == 1
    other = {**env, "TRADESPAN_METRICS_PORT": "0"}
    with service(["scraped.py"], tmp_path / "b", other) as second:
        second.until(lambda: len(targets(env)) == 1 and
                     f"127.0.0.1:{env['TRADESPAN_METRICS_PORT']}" not in targets(env))  # fmt: skip


def test_a_taken_port(tmp_path: Path) -> None:
    """Somebody else's port is left alone; without a folder one line says where we are."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        env = {**settings(tmp_path), "TRADESPAN_METRICS_PORT": port}
        del env["TRADESPAN_METRICS_TARGETS"]
        with service(["scraped.py"], tmp_path, env) as one:
            one.until(lambda: "ready" in one.stdout)
            (line,) = one.stderr.splitlines()
            assert f"port {port} is taken" in line
            where = line.rpartition(" ")[2]
            assert "trade_executions" in families(where)


def test_the_truth_about_the_collector(tmp_path: Path) -> None:
    """/health of a service whose collector takes all, and of one that has none."""
    with Collector() as collector:
        env = {
            "TRADESPAN_METRICS_PORT": str(free_port()),
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
            "OTEL_METRIC_EXPORT_INTERVAL": "200",
        }
        where = f"127.0.0.1:{env['TRADESPAN_METRICS_PORT']}"
        with service(["scraped.py"], tmp_path / "a", env) as one:
            one.until(lambda: "ready" in one.stdout)
            one.until(lambda: health(where)["signals"]["traces"]["exported"] == 1)
            one.until(lambda: health(where)["signals"]["metrics"]["last_success"])
            said = health(where)
            assert (said["status"], said["exporter"]["reachable"]) == ("ok", True)
            assert said["exporter"]["endpoint"] == collector.endpoint
            assert said["signals"]["traces"]["queue"]["capacity"] == 16384
    env["OTEL_EXPORTER_OTLP_ENDPOINT"] = f"http://127.0.0.1:{free_port()}"
    with service(["scraped.py"], tmp_path / "b", env) as one:
        one.until(lambda: "ready" in one.stdout)
        one.until(lambda: health(where)["exporter"]["reachable"] is False)
        assert health(where)["status"] == "degraded"
        assert health(where)["live"] is True


FORKING = """
import os, time, tradespan
from tradespan.export import endpoints
print(endpoints.start(port=0).port, flush=True)
for _ in range(5):
    with tradespan.execution(side="buy"): pass
if os.fork() == 0:
    with tradespan.execution(side="buy"): pass
time.sleep(60)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_counts_from_nothing(tmp_path: Path) -> None:
    """Without the distro too: a sum over parent and child has each stage once."""
    env = {"TRADESPAN_METRICS_TARGETS": str(tmp_path / "targets"), "TRADESPAN_MODE": "paper"}
    with service([str(BIN / "python"), "-c", FORKING], tmp_path, env, instrumented=False) as one:
        one.until(lambda: len(targets(env)) == 2)
        by_pid = {health(where)["pid"]: where for where in targets(env)}
        parent = by_pid.pop(one.pid)
        ((child, beside),) = by_pid.items()
        try:
            found = [
                families(where)["trading_stage_duration_seconds"] for where in (parent, beside)
            ]
            counts = [
                sum(s.value for s in family.samples if s.name.endswith("_count"))
                for family in found
            ]
        finally:
            os.kill(child, signal.SIGKILL)
    assert counts == [5, 1]


def test_off_is_no_thread(tmp_path: Path) -> None:
    """Without a port nothing listens, nothing is imported for it, no thread waits."""
    code = (
        "import sys, threading, tradespan; tradespan.configure();"
        "print([t.name for t in threading.enumerate() if 'endpoints' in t.name or 'scrape' in "
        "t.name], 'prometheus_client' in sys.modules)"
    )
    env = {**settings(tmp_path), "TRADESPAN_METRICS_PORT": ""}
    with service([str(BIN / "python"), "-c", code], tmp_path, env, instrumented=False) as one:
        assert one.wait() == 0
        assert one.stdout == "[] False\n"


@pytest.mark.parametrize(
    ("key", "value"),
    [("TRADESPAN_METRICS_PORT", "99999"), ("TRADESPAN_METRICS_HOST", "http://x")],
)
def test_a_wrong_setting(key: str, value: str, tmp_path: Path) -> None:
    """One loud line with key, value and hint; the service goes on without us."""
    with service(["scraped.py"], tmp_path, {**settings(tmp_path), key: value}) as one:
        one.until(lambda: "ready" in one.stdout)
        assert f"{key}={value!r}" in one.stderr
        assert "hint:" in one.stderr
