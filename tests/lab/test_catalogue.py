"""The whole catalogue in a real Prometheus that is fed by OTLP, and before promtool."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from prometheus_client import CollectorRegistry, generate_latest

from ..support.catalogue import CATALOGUE, OBJECTIONS, record_everything

CONFIG = """
storage: {tsdb: {out_of_order_time_window: 30m}}
otlp: {keep_identifying_resource_attributes: true,
       promote_resource_attributes: [service.name, service.instance.id, trading.mode]}
"""
RESOURCE = {"service.name": "catalogue", "service.instance.id": "1", "trading.mode": "replay"}


@pytest.fixture
def prometheus(programs: dict[str, Path], tmp_path: Path) -> Iterator[str]:
    """Address of a Prometheus of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    (tmp_path / "prometheus.yml").write_text(CONFIG)
    command = [
        str(programs["prometheus"]), f"--config.file={tmp_path / 'prometheus.yml'}",
        f"--storage.tsdb.path={tmp_path / 'data'}", f"--web.listen-address={address}",
        "--web.enable-otlp-receiver",
    ]  # fmt: skip
    with (tmp_path / "log").open("w") as said, subprocess.Popen(command, stderr=said) as server:
        try:
            until_ready(f"http://{address}/-/ready", server)
            yield f"http://{address}"
        finally:
            server.terminate()


def until_ready(url: str, server: subprocess.Popen[bytes]) -> None:
    """Wait for it, at most twenty seconds."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        assert server.poll() is None
        try:
            urllib.request.urlopen(url, timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    pytest.fail("Prometheus is not ready")


def ask(prometheus: str, path: str, **query: str) -> Any:
    """The data of an answer."""
    url = f"{prometheus}/api/v1/{path}?{urllib.parse.urlencode(query)}"
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)["data"]


def test_names_and_labels_by_otlp(prometheus: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What Prometheus shows is exactly catalogue.json, with the resource labels."""
    exporter = OTLPMetricExporter(f"{prometheus}/api/v1/otlp/v1/metrics")
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=60_000)
    provider = MeterProvider([reader], Resource(RESOURCE), shutdown_on_exit=False)
    record_everything(provider, monkeypatch)
    assert provider.force_flush()
    shown: dict[str, set[str]] = {}
    for series in ask(prometheus, "series", **{"match[]": '{trading_mode="replay"}'}):
        shown.setdefault(series.pop("__name__"), set()).update(series)
    provider.shutdown()
    shown.pop("target_info", None)
    resource = {"service_name", "service_instance_id", "trading_mode", "instance", "job"}
    wanted: dict[str, set[str]] = {}
    for entry in CATALOGUE:
        name, labels = entry["prometheus"].replace("*", "f"), resource | set(entry["labels"])
        if entry["type"] == "histogram":
            wanted |= {f"{name}_count": labels, f"{name}_sum": labels}
            wanted[f"{name}_bucket"] = {*labels, "le"}
        else:
            wanted[name] = labels
    assert shown == wanted


def test_promtool_objects_to_two_names_only(
    programs: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`promtool check metrics` on /metrics, with all of the catalogue there."""
    registry = CollectorRegistry()
    reader = PrometheusMetricReader(
        disable_target_info=True, scope_info_enabled=False, registry=registry
    )
    record_everything(MeterProvider([reader], shutdown_on_exit=False), monkeypatch)
    page = generate_latest(registry)
    done = subprocess.run(
        [programs["promtool"], "check", "metrics"], input=page, capture_output=True, check=False
    )
    said = (done.stdout + done.stderr).decode().strip().splitlines()
    objections = {re.split(r"[ :]", line)[0] for line in said}
    assert objections == set(OBJECTIONS), said
