"""The example pipeline does its business, whole, with real peers, and cleans up after itself."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)

from tradespan.backends.embedded import EmbeddedBackend
from tradespan.semconv import attributes as names

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "crypto_pipeline"
QUIET = {"OTEL_SDK_DISABLED": "true"}
FAST = {
    "OTEL_BSP_SCHEDULE_DELAY": "200",
    "OTEL_BLRP_SCHEDULE_DELAY": "200",
    "OTEL_METRIC_EXPORT_INTERVAL": "500",
}
SIGNAL = {
    "signal_id": "s-1",
    "symbol": "BTC-USD",
    "side": "buy",
    "price": 94_000.0,
    "confidence": 0.9,
    "rsi": 50.0,
    "below_high_bps": -3.0,
    "volatility_bps": 3.0,
}
CATALOGUE = {  # of the crypto engine: OpenTelemetry names
    "signals_generated signal_confidence model_inference_time model_load_status",
    "database_query_time trade_executions trade_execution_time coinbase_api_response_time",
    "order_precision_errors balance_check_failures pending_recommendations llm_validations",
    "llm_validation_time llm_confidence_scores ollama_api_latency recommendations_processed",
    "pipeline_stage_duration pending_recommendations_queue_size orchestrator_cycle_duration",
    "risk_assessments risk_assessment_time risk_scores rejected_trades_by_risk",
}
EDGES = {  # child <- parent, of every filled signal
    ("orchestration", "signal"),
    ("POST (client)", "orchestration"),
    ("POST /validate-recommendation (server)", "POST (client)"),
    ("POST /assess (server)", "POST (client)"),
    ("validation", "POST /validate-recommendation (server)"),
    ("risk", "POST /assess (server)"),
    ("execution", "orchestration"),
}


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> None:
    """The example's modules can be imported, by the names its scripts use."""
    monkeypatch.syspath_prepend(str(EXAMPLE))
    for name in ("database", "ports", "processes", "model", "llm_validation"):
        monkeypatch.delitem(sys.modules, name, raising=False)


def ended(signals: int) -> Callable[[dict[str, dict[str, int]]], bool]:
    """Whether so many signals have ended, as the services count."""
    return lambda stats: sum(outcomes(stats).values()) >= signals


def outcomes(stats: dict[str, dict[str, int]]) -> dict[str, int]:
    executor = stats["trade-executor"]
    return {
        "held": stats["signal-generator"]["held"],
        "rejected before": stats["orchestrator"]["rejected"],
        "refused": executor["rejected"],
        "filled": executor["filled"],
    }


def rows(url: str) -> tuple[dict[str, int], dict[str, int]]:
    from database import Database

    database = Database(url)
    try:
        return database.signals(), database.counts()
    finally:
        database.close()


def left_behind(marker: str) -> list[str]:
    """Processes that have the marker in their environment."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if marker.encode() in (folder / "environ").read_bytes():
                found.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return found


def check_business(p: Any, signals: int) -> dict[str, int]:
    """Every evaluation is found again as a fill, a rejection or a hold, in counts and in rows."""
    stats = p.until(ended(signals))
    found = outcomes(stats)
    assert sum(found.values()) == signals == stats["signal-generator"]["evaluated"]
    assert stats["signal-generator"]["failed"] == stats["orchestrator"]["failed"] == 0
    assert (
        stats["llm-validation"]["rejected"] + stats["risk"]["rejected"]
        == (found["rejected before"])
    )
    evaluations, recommendations = rows(p.ready["database"])
    assert evaluations["hold"] == found["held"]
    assert sum(evaluations.values()) == signals
    status = {"filled": found["filled"], "rejected": found["refused"]}
    assert recommendations == {key: n for key, n in status.items() if n}
    return found


@pytest.mark.usefixtures("example")
def test_every_evaluation_ends_once_on_the_embedded_default(pipeline, tmp_path):
    """200 evaluations: fills, holds, rejections by model and rules, and the ledger agrees."""
    flags = ["--signals", "200", "--interval-ms", "10", "--ledger", str(tmp_path)]
    with pipeline(*flags, MARK=str(tmp_path), **QUIET) as p:
        found = check_business(p, 200)
        stats = p.stats()
        assert min(found["filled"], found["held"]) >= 40
        assert min(stats["llm-validation"]["rejected"], stats["risk"]["rejected"]) >= 10
        assert p.stop() == 0
    assert left_behind(str(tmp_path)) == []
    noted = Counter()
    for file in tmp_path.glob("*.jsonl"):
        for line in file.read_text().splitlines():
            entry = json.loads(line)
            noted[entry["stage"], entry["outcome"]] += 1
    assert noted["signal", "skipped"] == found["held"]
    assert noted["execution", "ok"] == found["filled"]
    assert noted["orchestration", "rejected"] == found["rejected before"]
    assert noted["validation", "ok"] == stats["llm-validation"]["approved"]
    assert noted["risk", "rejected"] == stats["risk"]["rejected"]


@pytest.mark.usefixtures("example")
def test_the_same_business_on_real_redis_and_postgresql(pipeline, real_redis, real_postgres):
    """The embedded peers and the real ones lead to the same fills, rejections and holds."""
    flags = ["--signals", "60", "--interval-ms", "10"]
    real = ["--redis", real_redis, "--database", real_postgres]
    with pipeline(*flags, **QUIET) as p:
        embedded = check_business(p, 60)
    with pipeline(*flags, *real, **QUIET) as p:
        assert check_business(p, 60) == embedded
        client = redis.Redis.from_url(real_redis, decode_responses=True, protocol=2)
        with client:
            assert client.xpending("signals", "orchestrators")["pending"] == 0
        assert p.stop() == 0


class Collected(EmbeddedBackend):
    """The embedded backend, which also remembers the name of every metric that had a point."""

    def __init__(self) -> None:
        self.metrics: set[str] = set()
        super().__init__()

    def take_metrics(self, body: bytes) -> Any:
        request = ExportMetricsServiceRequest.FromString(body)
        for resource in request.resource_metrics:
            for scope in resource.scope_metrics:
                self.metrics |= {m.name for m in scope.metrics if m.gauge.data_points}
        return super().take_metrics(body)


def test_every_filled_signal_is_one_trace_and_every_metric_is_fed(pipeline):
    """Edges, the five services' logs, the catalogue's 23 metrics; and polling leaves no trace."""
    with Collected() as backend:
        environ = {
            **FAST,
            "OTEL_EXPORTER_OTLP_ENDPOINT": backend.endpoint,
            "OTEL_RESOURCE_ATTRIBUTES": "service.namespace=test",
        }
        # Small latencies and small steps: here the order of events matters, not their times.
        flags = ["--signals", "180", "--interval-ms", "10", "--exchange-latency-ms", "1"]
        with pipeline(*flags, "--model-latency-ms", "1", **environ) as p:
            stats = p.until(ended(180))
            time.sleep(1.0)  # loops that find nothing
            assert p.stop() == 0
    spans = backend.spans("test")
    by_id = {span.span_id: span for span in spans}

    def called(span: Any) -> str:
        return span.stage or f"{span.name} ({span.kind})"

    roots = Counter(called(span) for span in spans if span.parent_id is None)
    assert roots == {"signal": stats["signal-generator"]["published"]}
    traces = defaultdict(list)
    for span in spans:
        traces[span.trace_id].append(span)
    executions = [span for span in spans if span.stage == "execution"]
    fills = [s for s in executions if s.attributes[names.TRADING_OUTCOME] == "ok"]
    assert len(fills) == stats["trade-executor"]["filled"] > 0
    lines = defaultdict(set)
    for line in backend.logs("test"):
        lines[line.trace_id].add(line.service)
        lines[line.signal_id].add(line.service)
    for fill in fills:
        mine = traces[fill.trace_id]
        assert {span.signal_id for span in mine} == {fill.signal_id}
        edges = {(called(s), called(by_id[s.parent_id])) for s in mine if s.parent_id}
        assert edges >= EDGES
        assert len(lines[fill.trace_id]) == len(lines[fill.signal_id]) == 5
    ends = backend.total("trading.pipeline.duration", by=["outcome"])
    assert ends["ok",] == len(fills)
    assert ends["skipped",] == stats["signal-generator"]["held"]
    assert sum(ends.values()) == 180
    wanted = {name for line in CATALOGUE for name in line.split()}
    assert len(wanted) == 23
    counted = {name for name in wanted if sum(backend.total(name).values())}
    assert wanted - counted - backend.metrics == set()


@pytest.mark.parametrize("server", ["embedded_redis", "real_redis"])
def test_an_entry_of_a_dead_consumer_is_delivered_again(pipeline, request, server):
    """What a consumer read and never acknowledged is processed at the next start, as attempt 2."""
    url = request.getfixturevalue(server)
    with redis.Redis.from_url(url, decode_responses=True, protocol=2) as client:
        client.xgroup_create("signals", "orchestrators", id="0", mkstream=True)
        client.xadd("signals", {"payload": json.dumps(SIGNAL)})
        assert client.xreadgroup("orchestrators", "dead", {"signals": ">"}, count=1)
        with EmbeddedBackend() as backend:
            environ = {
                **FAST,
                "OTEL_EXPORTER_OTLP_ENDPOINT": backend.endpoint,
                "OTEL_RESOURCE_ATTRIBUTES": "service.namespace=test",
            }
            with pipeline("--hold-start", "--redis", url, **environ) as p:
                stats = p.until(lambda s: s["orchestrator"]["processed"] == 1)
                assert p.stop() == 0
        assert stats["orchestrator"]["redelivered"] == 1
        assert client.xpending("signals", "orchestrators")["pending"] == 0
    attempts = [
        span.attributes.get(names.TRADING_ATTEMPT)
        for span in backend.spans("test")
        if span.stage == "orchestration"
    ]
    assert attempts == [2]


def test_an_unreadable_entry_is_rejected_and_does_not_stop_the_rest(pipeline):
    """No payload, no JSON, a missing field: each is rejected and acknowledged; the rest goes on."""
    incomplete = {key: value for key, value in SIGNAL.items() if key != "price"}
    entries = [{"other": "x"}, {"payload": "{"}, {"payload": json.dumps(incomplete)}]
    with pipeline("--hold-start", **QUIET) as p:
        with redis.Redis.from_url(p.ready["redis"], decode_responses=True, protocol=2) as client:
            for fields in [*entries, {"payload": json.dumps(SIGNAL)}]:
                client.xadd("signals", fields)
            stats = p.until(lambda s: s["orchestrator"]["processed"] == 4)
            assert client.xpending("signals", "orchestrators")["pending"] == 0
        assert stats["llm-validation"]["approved"] + stats["llm-validation"]["rejected"] == 1
        assert stats["orchestrator"]["rejected"] >= 3


def test_nothing_is_lost_when_model_and_exchange_fail(pipeline):
    """A failed model call is tried again, then no trade; a failed order is a retried row."""
    flags = ["--signals", "60", "--interval-ms", "10"]
    with pipeline(
        *flags, "--model-error-rate", "0.3", "--exchange-error-rate", "0.1", **QUIET
    ) as p:
        stats = p.until(ended(60))
        assert sum(outcomes(stats).values()) == 60
        assert stats["llm-validation"]["failed_calls"] > 0
        assert stats["trade-executor"]["retried"] > 0
        assert stats["trade-executor"]["filled"] > 0


def test_a_stub_takes_settings_while_it_runs(pipeline):
    """A model server that fails from now on lets no trade through, and nothing stays pending."""
    with pipeline("--signals", "20", "--interval-ms", "10", "--hold-start", **QUIET) as p:
        assert p.ask("ollama/settings", {"error_rate": 1})["error_rate"] == 1
        assert p.stats()["signal-generator"]["evaluated"] == 0
        p.ask("signal-generator/start", {})
        found = outcomes(p.until(ended(20)))
        assert found["filled"] == 0
        assert found["rejected before"] + found["held"] == 20


def test_a_service_that_dies_at_start_is_named_with_its_last_words(pipeline, tmp_path):
    """Exit status 1, the service's name and its error; every other process is gone."""
    with pipeline("--signals", "1", CAPITAL_USD="much", MARK=str(tmp_path), **QUIET) as p:
        assert p.ready == {}
        assert p.wait() == 1
        assert "error: risk ended with status 1" in p.said()
        assert "could not convert string to float: 'much'" in p.said()
    assert left_behind(str(tmp_path)) == []


def test_no_service_outlives_a_pipeline_that_was_killed(pipeline, tmp_path):
    """kill -9 leaves run.py no chance; its guard ends what it had started."""
    with pipeline("--signals", "1", MARK=str(tmp_path), **QUIET) as p:
        assert len(left_behind(str(tmp_path))) >= 9
        p.kill()
        deadline = time.monotonic() + 30
        while left := left_behind(str(tmp_path)):
            assert time.monotonic() < deadline, left
            time.sleep(0.05)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgresql://127.0.0.1:1/x", "error: the database does not answer: "),
        ("mysql://127.0.0.1/x", "error: DATABASE_URL='mysql://127.0.0.1/x': give sqlite:///FILE"),
    ],
)
def test_a_database_that_cannot_be_used_is_said_at_once(pipeline, tmp_path, url, words):
    """Exit status 1 and one message, no traceback, before any service has started."""
    if url.startswith("postgresql"):
        pytest.importorskip("psycopg", reason="psycopg is missing (pip install psycopg)")
    with pipeline("--database", url, MARK=str(tmp_path), **QUIET) as p:
        assert p.wait() == 1
        assert words in p.said()
        assert "Traceback" not in p.said()
    assert left_behind(str(tmp_path)) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_can_be_stopped_while_it_starts(tmp_path, number):
    """No wait for readiness, no leftovers, exit status 0."""
    environ = {**os.environ, **QUIET, "MARK": str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, str(EXAMPLE / "run.py")], env=environ, stderr=subprocess.DEVNULL
    ) as process:
        deadline = time.monotonic() + 30
        while len(left_behind(str(tmp_path))) < 3:  # it has begun to start others
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(number)
        assert process.wait(60) == 0
    assert left_behind(str(tmp_path)) == []


@pytest.mark.usefixtures("example")
def test_a_taken_port_is_avoided_unless_it_was_asked_for(monkeypatch, caplog):
    """The usual port taken: a free one, and a word about it. PORT taken: an end with status 1."""
    from ports import bound, service_port

    monkeypatch.delenv("PORT", raising=False)
    with bound(0) as other:
        other.listen()
        taken = other.getsockname()[1]
        with caplog.at_level(logging.WARNING):
            assert service_port(taken) != taken
        assert f"port {taken} is taken" in caplog.text
        ended = subprocess.run(
            [sys.executable, str(EXAMPLE / "risk.py")],
            env={**os.environ, "PORT": str(taken)},
            capture_output=True,
            text=True,
            check=False,
        )
    assert ended.returncode == 1
    assert f"PORT={taken} is taken\nhint: " in ended.stderr


@pytest.mark.usefixtures("example")
def test_two_pipelines_do_not_take_each_others_ports(monkeypatch, tmp_path):
    """The second one takes free ports, although the first one's services do not listen yet."""
    import processes
    from ports import bound

    monkeypatch.setattr(processes, "FIRST", f"\0{tmp_path}"[-100:])
    with bound(0) as free:
        usual = free.getsockname()[1]
    first, second = processes.Ports(), processes.Ports()
    try:
        assert first.take(usual) == usual
        assert second.take(usual) != usual
    finally:
        first.release()
        second.release()


@pytest.mark.usefixtures("example")
@pytest.mark.parametrize(
    ("text", "decision", "confidence"),
    [
        ('{"decision": "APPROVE", "confidence": 0.9}', "APPROVE", 0.9),
        ('```json\n{"decision": "reject", "confidence": "0.7"}\n```', "REJECT", 0.7),
        ('Sure! {"decision": "APPROVE", "confidence": 7} Good luck.', "APPROVE", 1.0),
        ("I would REJECT this trade.", "REJECT", None),
        ('{"decision": "APPROVE", "confid', "APPROVE", None),
        ('{"decision": "maybe"}', "REJECT", None),
        ("", "REJECT", None),
    ],
)
def test_a_verdict_is_read_out_of_whatever_the_model_says(text, decision, confidence):
    """Plain, fenced, in prose, cut short; and what cannot be read is a rejection."""
    from llm_validation import parse

    verdict = parse(text)
    assert (verdict.decision, verdict.confidence) == (decision, confidence)


@pytest.mark.usefixtures("example")
def test_the_shipped_model_is_the_one_that_the_shipped_bars_give(monkeypatch, tmp_path):
    """Fitting again gives the committed file."""
    import fit_model

    monkeypatch.setattr(fit_model, "MODEL_FILE", tmp_path / "model.json")
    fit_model.main()
    again = json.loads((tmp_path / "model.json").read_text())
    shipped = json.loads((EXAMPLE / "model.json").read_text())
    assert again["indicators"] == shipped["indicators"]
    for key in ("mean", "scale", "weights", "bias"):
        assert again[key] == pytest.approx(shipped[key], abs=1e-4)
