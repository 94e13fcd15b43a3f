"""Signals through the real Collector, read back from Prometheus, Jaeger and Loki."""

import json
import os
import subprocess
import sys
import time
import urllib.request
import uuid
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tradespan.backends.lab import LabBackend
from tradespan.cli.pipeline import ExamplePipeline, environment
from tradespan.report.figures import ended
from tradespan.report.journeys import Journey, gather

SERVICES = {"signal-generator", "orchestrator", "llm-validation", "risk", "trade-executor"}
SIGNALS = 200
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def edge_table():
    """The committed edges, as (child, parent)."""
    lines = (Path(__file__).parent / "edges.txt").read_text().splitlines()
    pairs = (line.split("<-") for line in lines if not line.startswith("#"))
    return {(child.strip(), parent.strip()) for child, parent in pairs}


def edges(journey):
    """The edges of a journey, likewise."""
    names = {span.span_id: f"{span.kind} {span.name} ({span.service})" for span in journey.spans}
    return {
        (names[span.span_id], names[span.parent_id])
        for span in journey.spans
        if span.parent_id is not None
    }


def is_whole(journey, table):
    """Whether a journey has arrived completely; a filled one has every edge of the table."""
    return not journey.defects and (journey.outcome != "ok" or edges(journey) == table)


def get(url):
    """The JSON answer of one of the pipeline's own services or stubs."""
    with DIRECT.open(url, timeout=10) as answer:
        return json.load(answer)


def wait_for(found, *, seconds=60.0):
    """Poll until the condition holds; a test then asserts on its own."""
    deadline = time.monotonic() + seconds
    while not found() and time.monotonic() < deadline:
        time.sleep(0.3)


@dataclass
class Run:
    """A run whose signals have all ended; its services and stubs still run."""

    backend: LabBackend
    namespace: str
    ready: dict

    def count(self, outcome):
        """trading_pipeline_duration_seconds_count of an outcome, in Prometheus."""
        return ended(self.backend, self.namespace).get(outcome, 0)

    def journeys(self) -> list[Journey]:
        """The journeys that Jaeger holds."""
        return gather(self.backend.spans(self.namespace))

    def begun(self):
        """Trace ids of all signals that reached the orchestrator, by its log lines in Loki."""
        return {
            line.trace_id
            for line in self.backend.logs(self.namespace)
            if line.service == "orchestrator" and line.signal_id
        }

    def executor(self):
        """What the executor itself counted, outside of any telemetry."""
        return get(self.ready["services"]["trade-executor"]["url"] + "/stats")

    def filled_at_exchange(self, journeys):
        """The orders of these journeys that the exchange itself calls filled."""
        orders = {journey.value("trading.order.id") for journey in journeys} - {None}
        base = self.ready["stubs"]["exchange"] + "/api/v3/brokerage/orders/historical/"
        return {order for order in orders if get(base + order)["order"]["status"] == "FILLED"}


@contextmanager
def run(stack, *, signals=SIGNALS, ledger=None, **environ):
    """Run the example into the lab until every signal has ended."""
    namespace = f"test-{uuid.uuid4().hex[:8]}"
    at = stack.addresses
    backend = LabBackend(prometheus=at.prometheus, jaeger=at.jaeger, loki=at.loki)
    env = environment({**os.environ, **environ}, endpoint=at.otlp_http, namespace=namespace)
    words = ["--signals", str(signals), "--interval-ms", "30", "--ledger", str(ledger)]
    with ExamplePipeline(words, env, verbose=False) as pipeline:
        found = Run(backend, namespace, pipeline.wait_until_ready())
        wait_for(lambda: sum(ended(backend, namespace).values()) >= signals, seconds=120)
        yield found


def ledger_fills(folder):
    """Fills by the executor's own fsynced account."""
    lines = (folder / "trade-executor.jsonl").read_text().splitlines()
    return sum(json.loads(line)["outcome"] == "ok" for line in lines)


def test_every_filled_signal_is_one_whole_trace_and_every_count_is_exact(stack, tmp_path):
    """200 signals. Jaeger: one trace for each fill, with exactly the edges of the table.
    Prometheus: the fills, as executor, ledger and exchange counted them. Loki: lines of all five
    services by trace id and by signal id."""
    with run(stack, ledger=tmp_path) as found:
        assert sum(ended(found.backend, found.namespace).values()) == SIGNALS
        fills, table = found.count("ok"), edge_table()
        traced = SIGNALS - found.count("skipped")
        wait_for(lambda: sum(is_whole(j, table) for j in found.journeys()) >= traced, seconds=30)
        journeys = found.journeys()
        filled = [journey for journey in journeys if journey.outcome == "ok"]
        assert fills == len(filled) > SIGNALS / 10
        assert fills == found.executor()["filled"] == ledger_fills(tmp_path)
        assert fills == len(found.filled_at_exchange(filled))
        assert Counter(j.outcome for j in journeys)["rejected"] == found.count("rejected")
        assert [journey.defects for journey in journeys if journey.defects] == []
        for journey in filled:
            assert edges(journey) == table, journey.signal_id
            assert {span.service for span in journey.spans} == SERVICES
            assert {span.signal_id for span in journey.spans} == {journey.signal_id}
        assert_logs_of(found.backend, filled[0])
        assert_logs_of(found.backend, filled[-1])


def assert_logs_of(backend, journey):
    """Loki has lines of all five services by the trace id, and by the signal id."""
    (trace_id,) = journey.trace_ids
    queries = [f'trace_id="{trace_id}"', f'trading_signal_id="{journey.signal_id}"']
    for query in queries:
        lines = backend.query_logs(f'{{service_name=~".+"}} | {query}')
        assert {line.service for line in lines} == SERVICES, query
        assert {line.trace_id for line in lines} == {trace_id}
        assert {line.signal_id for line in lines} == {journey.signal_id}


def is_sampled(trace_id, ratio):
    """The rule of OpenTelemetry's ratio sampler: it decides by the trace id alone."""
    return int(trace_id[16:], 16) < round(ratio * 2**64)


def test_a_sampled_run_keeps_counts_exact_and_its_traces_whole(stack, tmp_path):
    """Ratio 0.1: Prometheus still has every end; Jaeger has exactly the journeys that the rule
    picks (of those whose log lines Loki has), each of them whole."""
    sampler = {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.1"}
    with run(stack, ledger=tmp_path, **sampler) as found:
        by_outcome = ended(found.backend, found.namespace)
        assert sum(by_outcome.values()) == SIGNALS
        assert by_outcome["ok"] == found.executor()["filled"] == ledger_fills(tmp_path)
        traced = SIGNALS - by_outcome["skipped"]
        wait_for(lambda: len(found.begun()) >= traced, seconds=30)
        begun = found.begun()
        assert len(begun) == traced
        expected = {trace_id for trace_id in begun if is_sampled(trace_id, 0.1)}
        table = edge_table()
        wait_for(
            lambda: sum(is_whole(j, table) for j in found.journeys()) >= len(expected), seconds=30
        )
        journeys = found.journeys()
        assert {trace_id for j in journeys for trace_id in j.trace_ids} == expected
        assert [journey.defects for journey in journeys if journey.defects] == []
        for journey in journeys:
            if journey.outcome == "ok":
                assert edges(journey) == table


@pytest.mark.usefixtures("programs")
def test_the_demo_reads_its_figures_from_the_real_backends():
    """`tradespan demo --lab` starts a lab for itself, and its facts hold there too."""
    done = subprocess.run(
        [sys.executable, "-m", "tradespan", "demo", "--lab", "--signals", "20", "--json"],
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["backend"] == "lab"
    assert sum(found["journeys"].values()) == 20
    assert found["traces"]["complete"] == 20 - found["journeys"]["skipped"]
    assert set(found["services"]) == set(found["logs"]["by_service"]) == SERVICES
