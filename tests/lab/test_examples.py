"""The catalogue is what running services emit, no more and no less, whichever way it is read."""

from __future__ import annotations

import subprocess
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tradespan import lab

from ..support.catalogue import CATALOGUE, OBJECTIONS
from ..support.launched import EXAMPLES, Example, Launched
from .readings import (
    Emitted,
    Reading,
    Tee,
    entry_of,
    fetch,
    read_openmetrics,
    read_page,
    read_prometheus,
    targets,
)

pytestmark = pytest.mark.timeout(600)  # thirty programs have to start
PLANS = {
    plan.parent.name: yaml.safe_load(plan.read_text())["programs"]
    for plan in sorted(EXAMPLES.glob("*/example.yaml"))
}
"""Programs of each example."""
INTERVAL_MS = 500
PATIENCE_S = 120.0


@dataclass
class Running:
    """All examples at once, and where to read what they emit."""

    tee: Tee
    folder: Path
    namespace: str
    programs: list[Launched]

    def until_none(self, missing: Callable[[], list[str]], what: str) -> None:
        """Wait until nothing is missing any more."""
        deadline = time.monotonic() + PATIENCE_S
        while lacks := missing():
            for program in self.programs:
                assert program.alive, program.said()
            assert time.monotonic() < deadline, f"{what}: {lacks}"
            time.sleep(0.2)


@pytest.fixture(scope="module")
def running(stack: lab.Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Every example as its user starts it, its telemetry on the way to the real Prometheus."""
    folder = tmp_path_factory.mktemp("targets")
    namespace = f"examples-{uuid.uuid4().hex[:8]}"
    with Tee(stack.addresses.otlp_http) as tee, ExitStack() as ending:
        environ = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": tee.address,
            "OTEL_METRICS_EXPORTER": "otlp",  # beside the pages, which one of them has alone
            "OTEL_METRIC_EXPORT_INTERVAL": str(INTERVAL_MS),
            "OTEL_RESOURCE_ATTRIBUTES": f"service.namespace={namespace}",
            "TRADESPAN_METRICS_PORT": "0",
            "TRADESPAN_METRICS_TARGETS": str(folder),
        }
        pipeline = Launched("crypto_pipeline/run.py", ("--interval-ms", "100"), environ)
        programs: list[Launched] = [pipeline]
        programs += [Example(name, interval_ms=100, **environ) for name in PLANS]
        for program in programs:
            ending.enter_context(program)
        found = Running(tee, folder, namespace, programs)
        found.until_none(lambda: missing(tee.ours(), "name"), "not emitted")
        yield found
        for program in programs:
            assert program.stop() == 0, program.said()
            assert "Traceback" not in program.said()


def missing(reading: Reading, key: str) -> list[str]:
    """Names of the catalogue that a reading has not."""
    there = {entry["name"] for name in reading if (entry := entry_of(name, key))}
    return [entry[key] for entry in CATALOGUE if entry["name"] not in there]


def undocumented(reading: Reading, key: str) -> list[str]:
    """Names in a reading that the catalogue has not."""
    return [name for name in reading if entry_of(name, key) is None]


def differing(reading: Reading, key: str, *facts: str) -> list[tuple[str, str, object, object]]:
    """Name, fact, what was met and what the catalogue says, where they are not the same."""
    found: list[tuple[str, str, object, object]] = []
    for name, met in reading.items():
        entry = entry_of(name, key) or {}
        says = {
            "types": {entry.get("type")},
            "texts": {entry.get("description")},
            "units": {entry.get("unit")},
            "labels": {frozenset(entry.get("labels", ()))},
        }
        found += [(name, f, getattr(met, f), says[f]) for f in facts if getattr(met, f) != says[f]]
    return found


def pages(running: Running) -> dict[str, str]:
    """/metrics of every process."""
    found = {where: fetch(f"http://{where}/metrics") for where in targets(running.folder)}
    programs = [one for plan in PLANS.values() for one in plan.values()]
    services = 5 + sum(not one.get("stand_in", False) for one in programs)
    assert len(found) == services, "each service of the pipeline and of the examples has a page"
    return found


def test_otlp(running: Running, capsys: pytest.CaptureFixture[str]) -> None:
    """Names, types, units, descriptions and labels, under our scope, both ways."""
    ours = running.tee.ours()
    emitted = len(CATALOGUE) - len(missing(ours, "name"))
    strangers = undocumented(ours, "name")
    with capsys.disabled():
        print(f"\ncatalogue: {emitted} of {len(CATALOGUE)} emitted, {len(strangers)} undocumented")
    assert not strangers
    assert not missing(ours, "name")
    assert not differing(ours, "name", "types", "texts", "units", "labels")


def test_every_metric_has_moved(running: Running) -> None:
    """None of them stands at 0 for want of anything that feeds it."""

    def still() -> list[str]:
        moved = {
            entry["name"]
            for name, met in running.tee.ours().items()
            if met.moved and (entry := entry_of(name, "name"))
        }
        return [entry["name"] for entry in CATALOGUE if entry["name"] not in moved]

    running.until_none(still, "never other than 0")


def test_pages(running: Running) -> None:
    """Names, types, help and labels on /metrics; ten scrapes show each family once."""
    foreign = running.tee.foreign()
    reading: Reading = defaultdict(Emitted)
    for _ in range(10):
        for text in pages(running).values():
            read_page(text, reading, foreign)
        time.sleep(INTERVAL_MS / 1000)  # one more export between any two
    assert not undocumented(reading, "prometheus")
    assert not missing(reading, "prometheus")
    assert not differing(reading, "prometheus", "types", "texts", "labels")


def test_openmetrics(running: Running) -> None:
    """An OpenMetrics parser reads every page to its end."""
    for where in targets(running.folder):
        text = fetch(f"http://{where}/metrics", accept="application/openmetrics-text;version=1.0.0")
        assert text.endswith("# EOF\n")
        assert read_openmetrics(text) > 5


def test_linter(running: Running, programs: dict[str, Path]) -> None:
    """`promtool check metrics` objects to nothing of ours but the two names it may."""
    for where, page in pages(running).items():
        said = subprocess.run(
            [programs["promtool"], "check", "metrics"],
            input=page.encode(),
            capture_output=True,
            check=False,
        )
        lines = (said.stdout + said.stderr).decode().splitlines()
        assert not [line for line in lines if line and not line.startswith(OBJECTIONS)], where


def test_prometheus(running: Running, stack: lab.Stack) -> None:
    """The real Prometheus, fed by OTLP through the Collector, has the same names and labels."""
    foreign = running.tee.foreign()
    match = f'{{service_namespace="{running.namespace}"}}'
    found: Reading = {}

    def absent() -> list[str]:
        nonlocal found
        found = read_prometheus(stack.addresses.prometheus, match, foreign)
        return missing(found, "prometheus")

    running.until_none(absent, "not in Prometheus")
    spans = [name for name in undocumented(found, "prometheus") if "traces_span_metrics" in name]
    assert undocumented(found, "prometheus") == spans  # the Collector's own, of every span
    ours = {name: met for name, met in found.items() if name not in spans}
    assert not differing(ours, "prometheus", "labels")
    histograms = {n for n, met in ours.items() if met.parts == {"_bucket", "_sum", "_count"}}
    plain = {n for n, met in ours.items() if met.parts == {""}}
    wanted = {n for n in ours if (entry_of(n) or {})["type"] == "histogram"}
    assert (histograms, plain) == (wanted, set(ours) - wanted)
