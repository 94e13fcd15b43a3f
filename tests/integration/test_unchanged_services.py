"""Services that import nothing of ours, mapped by a file, beside those that use the helpers."""

from __future__ import annotations

import ast
import json
import re
import sqlite3
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)

from tradespan.backends.embedded import EmbeddedBackend
from tradespan.mapping.load import load
from tradespan.report.figures import Report, ended, read_report
from tradespan.report.journeys import Journey, gather
from tradespan.report.table import table
from tradespan.semconv import attributes as names

from .conftest import ROOT, Pipeline

HELPERS = ROOT / "examples" / "crypto_pipeline"
UNCHANGED = ROOT / "examples" / "unchanged_services"
ESTATE = load(UNCHANGED / "tradespan.yaml", {})
SERVICES = sorted(ESTATE.services)
NAMESPACE = "test"
FAST = {
    "OTEL_BSP_SCHEDULE_DELAY": "200",
    "OTEL_BLRP_SCHEDULE_DELAY": "200",
    "OTEL_METRIC_EXPORT_INTERVAL": "500",
    "OTEL_RESOURCE_ATTRIBUTES": f"service.namespace={NAMESPACE}",
}
QUICK = ("--interval-ms", "10", "--exchange-latency-ms", "1", "--model-latency-ms", "1")
CATALOGUE: dict[str, set[str]] = {  # of the crypto engine: OpenTelemetry name, exactly its labels
    "signals_generated": {"symbol", "signal_type"},
    "signal_confidence": set(),
    "model_inference_time": set(),
    "model_load_status": set(),
    "database_query_time": set(),
    "trade_executions": {"status", "symbol"},
    "trade_execution_time": set(),
    "coinbase_api_response_time": set(),
    "order_precision_errors": {"symbol"},
    "balance_check_failures": {"symbol"},
    "pending_recommendations": set(),
    "llm_validations": {"decision"},
    "llm_validation_time": set(),
    "llm_confidence_scores": set(),
    "ollama_api_latency": set(),
    "recommendations_processed": {"status"},
    "pipeline_stage_duration": {"stage"},
    "pending_recommendations_queue_size": set(),
    "orchestrator_cycle_duration": set(),
    "risk_assessments": {"decision"},
    "risk_assessment_time": set(),
    "risk_scores": set(),
    "rejected_trades_by_risk": {"risk_level"},
}
GAUGES = {"model_load_status", "pending_recommendations", "pending_recommendations_queue_size"}
BY_CHANCE = {"orchestrator_cycle_duration"}  # how many entries a poll finds
OWN_TIMES = {names.TRADING_ORIGIN, names.TRADING_WAIT, names.TRADING_SIGNAL_ID}
OWN_WORDS = {names.TRADING_ORDER_ID, names.TRADING_REASON, names.TRADING_STATUS}
FILL_PRICE = names.TRADING_PRICE  # a hash of the limit as text, which PostgreSQL writes otherwise
STAGE_LINES = re.compile(  # what the services say inside their stages, the same in both versions
    r"(?i)(buy|sell) at [\d.]+, confidence|(buy|sell) BTC-USD approved|rejected, |"
    r"(APPROVE|REJECT) (buy|sell): |risk of |(buy|sell) [\d.]+ filled at |order refused: |"
    r".* is finer than the increment "
)


class Collected(EmbeddedBackend):
    """The embedded backend, which also remembers the labels of every metric that had a point."""

    def __init__(self) -> None:
        self.labels: dict[str, set[frozenset[str]]] = defaultdict(set)
        super().__init__()

    def take_metrics(self, body: bytes) -> Any:
        request = ExportMetricsServiceRequest.FromString(body)
        for resource in request.resource_metrics:
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    data = getattr(metric, metric.WhichOneof("data"))
                    for point in data.data_points:
                        self.labels[metric.name].add(frozenset(a.key for a in point.attributes))
        return super().take_metrics(body)


@dataclass
class Run:
    """What a run of the pipeline left: its business, and its telemetry."""

    signals: int
    backend: Collected = field(default_factory=Collected)
    stats: dict[str, dict[str, int]] = field(default_factory=dict)
    rows: list[tuple[Any, ...]] = field(default_factory=list)
    columns: set[str] = field(default_factory=set)

    def go(self, *flags: str, **environ: str) -> Run:
        """Run it until every signal has ended."""
        with self.backend as backend:
            environ = {**FAST, "OTEL_EXPORTER_OTLP_ENDPOINT": backend.endpoint, **environ}
            words = ("--signals", str(self.signals), *QUICK, *flags)
            with Pipeline(words, environ) as p:
                self.stats = p.until(lambda stats: sum(outcomes(stats).values()) >= self.signals)
                self._look(p.ready["database"])
                time.sleep(1.0)  # loops that find nothing
                assert p.stop() == 0
        return self

    def journeys(self) -> list[Journey]:
        """Journeys that were traced, in the order of their signals."""
        return gather(self.backend.spans(NAMESPACE))

    def report(self) -> Report:
        """The figures, of all services that the file maps."""
        return read_report(
            self.backend, NAMESPACE, signals=self.signals, sampled=False, expected=SERVICES
        )

    def stages(self) -> dict[tuple[str, ...], int]:
        """How often each stage ended, by pipeline, stage and outcome."""
        by = ["pipeline", "stage", "outcome"]
        return nonzero(self.backend.total("trading.stage.duration", by=by))

    def _look(self, url: str) -> None:
        if not url.startswith("sqlite:"):
            return
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as database:
            found = database.execute(
                "SELECT id, symbol, side, quantity, price, status, fill_price"
                " FROM recommendations ORDER BY id"
            )
            self.rows = found.fetchall()
            table = database.execute("SELECT name FROM pragma_table_info('recommendations')")
            self.columns = {name for (name,) in table}


def outcomes(stats: dict[str, dict[str, int]]) -> dict[str, int]:
    """What became of the signals, as the services themselves count."""
    return {
        "held": stats["signal-generator"]["held"],
        "rejected before": stats["orchestrator"]["rejected"],
        "refused": stats["trade-executor"]["rejected"],
        "filled": stats["trade-executor"]["filled"],
    }


def nonzero(counts: dict[tuple[str, ...], int]) -> dict[tuple[str, ...], int]:
    return {key: count for key, count in counts.items() if count}


def edges(journey: Journey) -> Counter[tuple[str, str]]:
    """Edges of a journey, child and parent, each with its kind and service."""
    known = {span.span_id: f"{span.kind} {span.name} ({span.service})" for span in journey.spans}
    return Counter(
        (known[span.span_id], known[span.parent_id]) for span in journey.spans if span.parent_id
    )


def edge_table() -> set[tuple[str, str]]:
    """The edges that the trace of a filled signal has, as committed for the lab."""
    lines = (ROOT / "tests" / "lab" / "edges.txt").read_text().splitlines()
    pairs = (line.split("<-") for line in lines if line and not line.startswith("#"))
    return {(child.strip(), parent.strip()) for child, parent in pairs}


def facts(journey: Journey, *without: str) -> list[tuple[str, dict[str, object]]]:
    """What the stages of a journey say of it, without times, ids and words of their own."""
    own = {*OWN_TIMES, *OWN_WORDS, *without}
    return [
        (
            str(span.stage),
            {k: v for k, v in span.attributes.items() if k not in own},
        )
        for span in journey.stages
    ]


@pytest.fixture(scope="module")
def helpers() -> Iterator[Run]:
    """A run of the services that use the helpers."""
    return Run(180).go()


@pytest.fixture(scope="module")
def unchanged() -> Iterator[Run]:
    """The same input through the services that import nothing of ours."""
    return Run(180).go("--services", str(UNCHANGED))


def test_the_services_know_nothing_of_telemetry(unchanged):
    """No import of tradespan or OpenTelemetry, no column and no word of a trace."""
    for script in UNCHANGED.glob("*.py"):
        text = script.read_text()
        for node in ast.walk(ast.parse(text)):
            modules = [alias.name for alias in getattr(node, "names", ())]
            modules.append(getattr(node, "module", None) or "")
            assert not {m.partition(".")[0] for m in modules} & {"tradespan", "opentelemetry"}
        assert not re.search("traceparent|baggage|tradespan|telemetry", text), script.name
    assert {"id", "signal_id"} <= unchanged.columns
    assert not unchanged.columns & {"traceparent", "baggage"}


def test_the_business_is_the_same(helpers, unchanged):
    """The same fills at the same prices, the same rejections and holds."""
    assert outcomes(unchanged.stats) == outcomes(helpers.stats)
    assert unchanged.rows == helpers.rows
    assert outcomes(unchanged.stats)["filled"] > 0


def test_every_stage_ends_as_often_and_in_the_same_way(helpers, unchanged):
    """Counts by pipeline, stage and outcome, and of whole journeys, are equal."""
    for run in (helpers, unchanged):
        begun = nonzero(run.backend.total("trading.journey.begun", by=["trigger"]))
        assert begun == {("signal",): 180}  # no hand-off was missed
    assert unchanged.stages() == helpers.stages()
    assert {stage for _, stage, _ in unchanged.stages()} == set(ESTATE.pipeline.stages)
    ends = ended(unchanged.backend, NAMESPACE)
    assert ends == ended(helpers.backend, NAMESPACE)
    assert sum(ends.values()) == 180
    report = unchanged.report()
    assert report.is_good
    assert report.silent == ()


def test_every_journey_is_the_same_trace(helpers, unchanged):
    """Signal by signal: outcome, edges, and what each stage says; a fill has every known edge."""
    one, other = helpers.journeys(), unchanged.journeys()
    assert len(one) == len(other) == 180 - outcomes(unchanged.stats)["held"]
    assert [j.defects for j in other if j.defects] == []
    spans = unchanged.backend.spans(NAMESPACE)
    roots = Counter(span.stage or span.name for span in spans if span.parent_id is None)
    assert roots == {"signal": len(other)}  # polls that found nothing left no trace
    for ours, theirs in zip(one, other, strict=True):
        assert theirs.outcome == ours.outcome
        assert edges(theirs) == edges(ours)
        assert facts(theirs) == facts(ours)
        if theirs.outcome == "ok":
            assert set(edges(theirs)) == edge_table()


def test_every_metric_of_the_catalogue_comes_from_the_file_alone(helpers, unchanged):
    """All 23, with exactly their labels and the counts that the helpers give."""
    assert len(CATALOGUE) == 23
    for name, labels in CATALOGUE.items():
        assert unchanged.backend.labels[name] == {frozenset(labels)}, name
        if name in GAUGES:
            continue
        by = sorted(labels)
        counted = nonzero(unchanged.backend.total(name, by=by))
        assert counted, name
        if name not in BY_CHANCE:
            assert counted == nonzero(helpers.backend.total(name, by=by)), name


def test_every_line_inside_a_stage_carries_its_journey(helpers, unchanged):
    """As many as with the helpers, each with the ids of a stage of its own service."""
    found = {}
    for run in (helpers, unchanged):
        lines = [line for line in run.backend.logs(NAMESPACE) if STAGE_LINES.match(line.body)]
        stages = {(span.trace_id, span.span_id): span for j in run.journeys() for span in j.stages}
        for line in lines:
            assert (line.trace_id, line.span_id) in stages, line
            span = stages[str(line.trace_id), str(line.span_id)]
            assert (span.service, span.signal_id) == (line.service, line.signal_id), line
        found[id(run)] = Counter(line.service for line in lines)
    assert found[id(helpers)] == found[id(unchanged)]
    assert sorted(found[id(unchanged)]) == SERVICES


def test_failures_that_are_return_values_end_stages_as_exceptions_do():
    """A model and an exchange that fail now and then: the journeys end as with the helpers, a
    retried order is an error and leaves its journey open, and none ends twice."""
    flags = ("--model-error-rate", "0.45", "--exchange-error-rate", "0.1")
    found = []
    for more in ((), ("--services", str(UNCHANGED))):
        run = Run(60).go(*flags, *more)
        assert run.stats["trade-executor"]["retried"] > 0
        assert run.stats["llm-validation"]["failed_calls"] > 0
        errors = run.stages()["crypto", "execution", "error"]
        assert errors == run.stats["trade-executor"]["retried"]
        twice = run.backend.total("trading.journey.redelivered", by=["reason"])
        assert twice.get(("ended",), 0) == 0
        assert [j.defects for j in run.journeys() if j.defects] == []
        stages = {key: n for key, n in run.stages().items() if key[1] != "execution"}
        found.append((outcomes(run.stats), ended(run.backend, NAMESPACE), stages))
    assert found[0] == found[1]


def test_real_servers_carry_the_same_journeys(real_redis, real_postgres):
    """On a real Redis and PostgreSQL as on the embedded ones, kept by key in Redis as in a file."""
    found = []
    for more in ((), ("--redis", real_redis, "--database", real_postgres)):
        store = {"TRADESPAN_STORE": real_redis} if more else {}
        run = Run(60).go("--services", str(UNCHANGED), *more, **store)
        assert run.report().is_good
        assert [j.defects for j in run.journeys() if j.defects] == []
        found.append((run.stages(), [(edges(j), facts(j, FILL_PRICE)) for j in run.journeys()]))
    assert found[0] == found[1]


@pytest.fixture(scope="module")
def dark() -> Run:
    """The unchanged services without any telemetry."""
    run = Run(40).go("--services", str(UNCHANGED), "--instrument", "none")
    assert not run.backend.spans(NAMESPACE)
    assert not run.backend.logs(NAMESPACE)
    return run


@pytest.fixture
def not_yet(tmp_path: Path) -> str:
    """tradespan.yaml as it is until every consumer is instrumented."""
    text = (UNCHANGED / "tradespan.yaml").read_text()
    assert text.count("inject: true ") == 1
    file = tmp_path / "tradespan.yaml"
    file.write_text(text.replace("inject: true ", "inject: false "))
    return str(file)


@pytest.mark.parametrize("alone", SERVICES)
def test_one_service_of_five_breaks_nothing_and_the_gap_is_named(dark, not_yet, alone):
    """Whichever is the first: the fills are those without telemetry, and who is silent is said."""
    flags = ("--services", str(UNCHANGED), "--instrument", alone)
    run = Run(40).go(*flags, TRADESPAN_CONFIG=not_yet)
    assert outcomes(run.stats) == outcomes(dark.stats)
    assert run.rows == dark.rows
    report = run.report()
    assert report.services == (alone,)
    assert report.silent == tuple(name for name in SERVICES if name != alone)
    assert f"1 of 5 report: {alone}; silent: {', '.join(report.silent)}" in table(report)
    (stage,) = ESTATE.services[alone].stages
    assert {stage} == {found for _, found, _ in run.stages()}
    begun = nonzero(run.backend.total("trading.journey.begun", by=["trigger"]))
    assert {trigger for (trigger,) in begun} <= {"signal", "manual", "broken"}
    assert sum(begun.values()) == sum(run.stages().values())


@pytest.mark.parametrize(
    ("rolled_out", "journey"),
    [
        (("llm-validation", "risk"), ()),
        (
            ("llm-validation", "orchestrator", "risk", "trade-executor"),
            ("orchestration", "validation", "risk", "execution"),
        ),
        (("orchestrator", "signal-generator"), ("signal", "orchestration")),
    ],
    ids=["asked", "consumers", "producer"],
)
def test_consumers_first_then_inject(dark, rolled_out, journey):
    """Each step of the guide, with the file as it is in the end: the strict stream goes on, and
    what is instrumented is joined."""
    run = Run(40).go("--services", str(UNCHANGED), "--instrument", ",".join(rolled_out))
    assert outcomes(run.stats) == outcomes(dark.stats)
    assert run.rows == dark.rows
    report = run.report()
    assert report.services == rolled_out
    assert len(report.silent) == 5 - len(rolled_out)
    found = run.journeys()
    whole = [j for j in found if tuple(str(s.stage) for s in j.stages) == journey]
    assert all(len(j.trace_ids) == 1 for j in found)
    wanted = outcomes(dark.stats)["filled"] + outcomes(dark.stats)["refused"]
    if "signal-generator" in rolled_out:
        wanted = 40 - outcomes(dark.stats)["held"]
    assert len(whole) == (wanted if journey else 0)


def test_producers_first_is_why_injection_is_off_unless_said(dark):
    """A strict consumer that is not instrumented refuses what it does not know: no fills at all."""
    flags = ("--services", str(UNCHANGED), "--instrument", "signal-generator")
    run = Run(40).go(*flags)
    assert outcomes(dark.stats)["filled"] > 0
    found = outcomes(run.stats)
    assert (found["filled"], found["refused"], run.rows) == (0, 0, [])
    assert found["held"] == outcomes(dark.stats)["held"]


def demo(*words: str) -> subprocess.CompletedProcess[str]:
    """`tradespan demo` on the unchanged services, as the guide shows it."""
    command = [sys.executable, "-m", "tradespan", "demo", "--services", "unchanged_services"]
    return subprocess.run(
        [*command, "--signals", "20", *words],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def test_the_demo_runs_on_the_unchanged_services():
    """From any folder, by the name of the example: everything is whole, and nobody is silent."""
    done = demo("--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert sum(found["journeys"].values()) == 20
    assert (found["services"], found["silent"]) == (SERVICES, [])
    assert sum(row["count"] > 0 for row in found["stages"]) == 6  # the last one is `outside`


def test_the_demo_of_a_partial_roll_out_names_what_is_missing():
    """Two of five: the report says so, names the three, and the status is no success."""
    done = demo("--instrument", "llm-validation,risk")
    assert done.returncode == 1, done.stderr
    silent = "silent: orchestrator, signal-generator, trade-executor"
    assert f"2 of 5 report: llm-validation, risk; {silent}" in done.stdout
    assert "20: 20 pending" in done.stdout
