"""The five stages speak the words of their trade, on spans and in the catalogue's metrics."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

import tradespan

DECISIONS = ("approved", "rejected", "skipped", "cancelled", "timeout", "expired", "error")


def test_signal(telemetry: Any) -> None:
    """A signal feeds the signal generator's metrics."""
    with tradespan.signal(symbol="BTC-USD", signal_type="momentum", event_time=1.7e9) as s:
        assert s.confidence(0.83) is s
    assert telemetry.total("signals_generated", symbol="BTC-USD", signal_type="momentum") == 1
    assert telemetry.metric("signal_confidence")[0].sum == pytest.approx(0.83)
    attributes = telemetry.span("signal").attributes
    assert attributes["trading.signal.type"] == "momentum"
    assert attributes["trading.event.time"] == 1.7e9


def test_a_signal_that_failed_was_not_generated(telemetry: Any) -> None:
    """An error in the signal stage is no generated signal."""
    with pytest.raises(ValueError), tradespan.signal(symbol="BTC-USD", signal_type="m"):
        raise ValueError
    assert telemetry.total("signals_generated") == 0


@pytest.mark.parametrize(
    ("say", "decision", "confidence"),
    [
        (lambda v: v.approve(confidence=0.9, reason="trend"), "approved", 0.9),
        (lambda v: v.reject("cooldown", confidence=0.4), "rejected", 0.4),
        (lambda v: v.skip(), "skipped", None),
        (lambda v: v.approve(0.9).reject("second thought"), "rejected", 0.9),
        (lambda v: v, "approved", None),
    ],
)
def test_validation(telemetry: Any, say: Any, decision: str, confidence: float | None) -> None:
    """A validation counts its decision, and its confidence where the model gave one."""
    with tradespan.validation(model="llama3.2:3b") as v:
        assert say(v) is v
        v.usage(input_tokens=120, output_tokens=30)
    assert telemetry.total("llm_validations", decision=decision) == 1
    assert telemetry.total("llm_validations") == 1
    assert telemetry.total("llm_validation_time") == 1
    assert telemetry.total("llm_confidence_scores") == (confidence is not None)
    attributes = telemetry.span("validation").attributes
    assert attributes["gen_ai.request.model"] == "llama3.2:3b"
    assert attributes["gen_ai.usage.input_tokens"] == 120
    assert attributes["gen_ai.usage.output_tokens"] == 30
    assert attributes["trading.outcome"] == {"approved": "ok"}.get(decision, decision)


@pytest.mark.parametrize("make", [tradespan.validation, tradespan.risk])
@pytest.mark.parametrize(
    ("error", "decision"), [(ValueError(), "error"), (TimeoutError(), "timeout")]
)
def test_no_decision_stands_where_the_stage_failed(
    telemetry: Any, make: Any, error: Exception, decision: str
) -> None:
    """A stage that approved and then failed has approved nothing."""
    with contextlib.suppress(type(error)), make() as stage:
        stage.approve()
        raise error
    name = {"validation": "llm_validations", "risk": "risk_assessments"}[stage.name]
    assert telemetry.total(name, decision=decision) == 1
    assert telemetry.total(name, decision="approved") == 0
    assert telemetry.span(stage.name).attributes.get("trading.decision") != "approved"


@pytest.mark.parametrize("level", ["low", "medium", "high", "critical"])
def test_risk_rejected(telemetry: Any, level: Any) -> None:
    """A rejection counts by level, its score goes into the distribution."""
    with tradespan.risk() as r:
        assert r.reject("exposure", score=0.9, level=level) is r
    assert telemetry.total("risk_assessments", decision="rejected") == 1
    assert telemetry.total("rejected_trades_by_risk", risk_level=level) == 1
    assert telemetry.total("rejected_trades_by_risk") == 1
    assert telemetry.metric("risk_scores")[0].sum == pytest.approx(0.9)
    attributes = telemetry.span("risk").attributes
    assert attributes["trading.risk.level"] == level
    assert attributes["trading.reason"] == "exposure"
    assert attributes["trading.decision"] == "rejected"


def test_risk_approved(telemetry: Any) -> None:
    """An approval rejects no trade, whatever its level."""
    with tradespan.risk() as r:
        r.approve(score=0.2, level="low")
    assert telemetry.total("risk_assessments", decision="approved") == 1
    assert telemetry.total("rejected_trades_by_risk") == 0
    assert telemetry.total("risk_assessment_time") == 1


@pytest.mark.parametrize(
    ("say", "status"),
    [(lambda o: o.approve(), "approved"), (lambda o: o.reject("no"), "rejected")],
)
def test_orchestration(telemetry: Any, say: Any, status: str) -> None:
    """The orchestrator counts what became of each recommendation."""
    with tradespan.orchestration() as o:
        assert say(o) is o
    assert telemetry.total("recommendations_processed", status=status) == 1
    assert telemetry.total("recommendations_processed") == 1


@pytest.mark.parametrize(
    ("say", "status", "outcome"),
    [
        (lambda e: e.filled(1.0, 2.0), "filled", "ok"),
        (lambda e: e.filled(1.0, 2.0, partial=True), "partial", "ok"),
        (lambda e: e.reject("balance"), "rejected", "rejected"),
        (lambda e: e.retry("503"), "error", "error"),
        (lambda e: e.filled(1.0, 2.0).reject("bust"), "rejected", "rejected"),
        (lambda e: e.reject("late").filled(1.0, 2.0), "filled", "ok"),
        (lambda e: e.skip("duplicate"), "skipped", "skipped"),
    ],
)
def test_execution(telemetry: Any, say: Any, status: str, outcome: str) -> None:
    """An execution counts its status by symbol; the last word counts."""
    with tradespan.execution(symbol="BTC-USD", side="buy", venue="coinbase") as e:
        assert say(e) is e
    assert telemetry.total("trade_executions", status=status, symbol="BTC-USD") == 1
    assert telemetry.total("trade_executions") == 1
    assert telemetry.total("trade_execution_time") == 1
    assert telemetry.span("execution").attributes["trading.outcome"] == outcome
    assert telemetry.span("execution").attributes["trading.venue"] == "coinbase"


def test_a_stage_of_ones_own(telemetry: Any) -> None:
    """Any stage has the uniform metrics and the catalogue's duration of a pipeline stage."""
    with tradespan.stage("hedging", symbol="BTC-USD"):
        pass
    assert telemetry.total("trading.stage.duration", stage="hedging", outcome="ok") == 1
    assert telemetry.total("pipeline_stage_duration", stage="hedging") == 1
    assert telemetry.span("hedging").attributes["trading.stage"] == "hedging"


@pytest.mark.parametrize(
    ("make", "counter", "label", "words"),
    [
        (tradespan.validation, "llm_validations", "decision", DECISIONS),
        (tradespan.risk, "risk_assessments", "decision", DECISIONS),
        (tradespan.risk, "rejected_trades_by_risk", "risk_level",
         ("low", "medium", "high", "critical")),
        (tradespan.orchestration, "recommendations_processed", "status", ("approved", "rejected")),
    ],
)  # fmt: skip
def test_counters_stand_at_zero_from_the_first_stage_on(
    telemetry: Any, make: Any, counter: str, label: str, words: tuple[str, ...]
) -> None:
    """Every declared value of a typed stage's counter is there before it first happens."""
    with make():
        pass
    assert set(words) <= {p.labels[label] for p in telemetry.metric(counter)}
