"""/metrics before the real Prometheus: its linter, its file discovery, its scrapes."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from ..support.catalogue import OBJECTIONS

SCRIPT = r"""
import sys, time
import tradespan
from tradespan import instruments
from tradespan.semconv.metrics import METRICS

tradespan.configure()
for metric in METRICS:
    values = {key: "x" for key in metric.attributes}
    instruments.record(metric, 1, values) if "failures" not in metric.name else None
with tradespan.execution(symbol='BTC"\n\\USD', side="buy") as execution:
    execution.filled(quantity=1, price=2)
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[list[str]]:
    """Two processes that open every room of the registry; the targets in the folder."""
    env = {
        **{key: value for key, value in os.environ.items() if not key.startswith("OTEL_")},
        "OTEL_SERVICE_NAME": "desk",
        "TRADESPAN_MODE": "replay",
        "TRADESPAN_METRICS_PORT": "0",
        "TRADESPAN_METRICS_TARGETS": str(tmp_path / "targets"),
        "OTEL_TRACES_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
        "OTEL_METRICS_EXPORTER": "none",
    }
    with ExitStack() as ending:
        for _ in range(2):
            one = ending.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", SCRIPT],
                    env=env,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                )
            )
            ending.callback(one.kill)
            assert one.stdout
            assert one.stdout.readline() == b"ready\n"
        files = list((tmp_path / "targets").glob("*.json"))
        yield [target for file in files for target in json.loads(file.read_text())[0]["targets"]]


def test_the_linter_objects_to_nothing(workers: list[str], programs: dict[str, Path]) -> None:
    """`promtool check metrics` passes, but for the two names that the catalogue allows."""
    for where in workers:
        with urllib.request.urlopen(f"http://{where}/metrics", timeout=30) as answer:
            text = answer.read()
        said = subprocess.run(
            [programs["promtool"], "check", "metrics"], input=text, capture_output=True, check=False
        )
        lines = (said.stdout + said.stderr).decode().splitlines()
        assert not [line for line in lines if line and not line.startswith(OBJECTIONS)]


def test_prometheus_finds_and_scrapes_them(
    workers: list[str], programs: dict[str, Path], tmp_path: Path
) -> None:
    """By the folder alone: both processes are up, with series of the right names and labels."""
    (tmp_path / "prometheus.yaml").write_text(
        "global: {scrape_interval: 200ms, scrape_timeout: 200ms}\n"
        "scrape_configs:\n"
        "  - job_name: tradespan\n"
        f"    file_sd_configs: [{{files: ['{tmp_path}/targets/*.json'], refresh_interval: 1s}}]\n"
    )
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with (
        (tmp_path / "log").open("wb") as log,
        subprocess.Popen(
            [
                programs["prometheus"],
                f"--config.file={tmp_path}/prometheus.yaml",
                f"--storage.tsdb.path={tmp_path}/data",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=log,
            stderr=log,
        ) as prometheus,
    ):
        try:
            executed = 'sum by (symbol, trading_mode) (trade_executions_total{symbol!="x"} > 0)'
            found = until(port, executed, 2.0)
            assert found == {"symbol": 'BTC"\n\\USD', "trading_mode": "replay"}
            assert until(port, "count(up == 1)", 2.0) == {}
            instances = 'count(count by (service_instance_id) ({service_name="desk"}))'
            assert until(port, instances, 2.0) == {}
        finally:
            prometheus.terminate()
    assert "level=ERROR" not in (tmp_path / "log").read_text()


def until(port: int, query: str, value: float) -> dict[str, str]:
    """Ask until the answer is one series of this value; its labels."""
    deadline, answer = time.monotonic() + 60, b""
    url = f"http://127.0.0.1:{port}/api/v1/query?query={urllib.parse.quote(query)}"
    while time.monotonic() < deadline:
        threading.Event().wait(0.1)
        try:
            with urllib.request.urlopen(url, timeout=30) as reply:
                answer = reply.read()
        except OSError:
            continue
        series = json.loads(answer)["data"]["result"]
        if len(series) == 1 and float(series[0]["value"][1]) == value:
            labels: dict[str, str] = series[0]["metric"]
            return labels
    raise AssertionError(answer)
