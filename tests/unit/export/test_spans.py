"""Ids on every span of a journey, and no trace of a signal that was skipped."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from opentelemetry import context, trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

import tradespan
from tradespan import journey
from tradespan.export.spans import _MOST_HELD, HoldUndecided, JourneyIds

SIGNAL = {"trading.stage": "signal"}


class Tracing:
    """A provider with both processors, and what came out of it."""

    def __init__(self, **kwargs: Any) -> None:
        self.exporter = InMemorySpanExporter()
        self.held = HoldUndecided(SimpleSpanProcessor(self.exporter))
        self.provider = TracerProvider(shutdown_on_exit=False, **kwargs)
        self.provider.add_span_processor(JourneyIds())
        self.provider.add_span_processor(self.held)
        self.tracer = self.provider.get_tracer("x")

    @property
    def names(self) -> list[str]:
        return [s.name for s in self.exporter.get_finished_spans()]

    def root(self, **attributes: Any) -> Any:
        return self.tracer.start_as_current_span(
            "signal", Context(), attributes={**SIGNAL, **attributes}
        )


@pytest.fixture
def tracing() -> Tracing:
    """A clean one."""
    return Tracing()


@pytest.mark.parametrize("kind", list(trace.SpanKind))
def test_ids_stand_on_every_span_of_a_journey(tracing: Tracing, kind: trace.SpanKind) -> None:
    """Whoever starts a span in a journey, of whatever kind, it carries the journey's ids."""
    found = journey.begin("sig-1")
    token = context.attach(journey.with_journey(found, Context()))
    tracing.tracer.start_span("GET", kind=kind).end()
    context.detach(token)
    tracing.tracer.start_span("later").end()
    first, second = tracing.exporter.get_finished_spans()
    assert dict(first.attributes) == found.entries()
    assert dict(second.attributes) == {}


def test_ids_come_from_the_parent_context(tracing: Tracing) -> None:
    """A span started with a context of its own has that one's journey."""
    ctx = journey.with_journey(journey.begin("sig-1"), Context())
    tracing.tracer.start_span("SERVER", ctx).end()
    (span,) = tracing.exporter.get_finished_spans()
    assert span.attributes["trading.signal.id"] == "sig-1"


def test_ids_that_stand_there_stay(tracing: Tracing) -> None:
    """A span that says itself whose it is keeps its word."""
    ctx = journey.with_journey(journey.begin("sig-1"), Context())
    tracing.tracer.start_span("x", ctx, attributes={"trading.signal.id": "own"}).end()
    (span,) = tracing.exporter.get_finished_spans()
    assert dict(span.attributes) == {"trading.signal.id": "own"}


def test_a_skipped_signal_leaves_nothing(tracing: Tracing) -> None:
    """Root and children are dropped together, and nothing is held any more."""
    with tracing.root() as root:
        tracing.tracer.start_span("features").end()
        root.set_attribute("trading.outcome", "skipped")
    assert tracing.names == []
    assert tracing.held._held == {}


@pytest.mark.parametrize("outcome", ["ok", "rejected", "error", "cancelled", "timeout", None])
def test_every_other_signal_is_let_go(tracing: Tracing, outcome: str | None) -> None:
    """Children are held until the root has ended, then all go, in order."""
    with tracing.root() as root:
        tracing.tracer.start_span("features").end()
        assert tracing.names == []
        if outcome:
            root.set_attribute("trading.outcome", outcome)
    assert tracing.names == ["features", "signal"]
    assert tracing.held._held == {}


def test_other_traces_pass_meanwhile(tracing: Tracing) -> None:
    """Only the undecided signal's own trace is held."""
    with tracing.root():
        tracing.tracer.start_span("other", Context()).end()
        assert tracing.names == ["other"]
    with tracing.tracer.start_as_current_span("cycle", Context()):
        with tracing.tracer.start_as_current_span("execution"):
            pass
        assert "execution" in tracing.names


def test_a_signal_inside_another_span_is_not_held(tracing: Tracing) -> None:
    """A signal that is not the root of its trace passes, skipped or not: its trace stands."""
    with tracing.tracer.start_as_current_span("POST /evaluate", Context()):
        with tracing.tracer.start_as_current_span("signal", attributes=SIGNAL) as span:
            span.set_attribute("trading.outcome", "skipped")
    assert tracing.names == ["signal", "POST /evaluate"]


def test_what_is_held_is_bounded(tracing: Tracing) -> None:
    """A signal with very many spans is let go before it is decided."""
    with tracing.root():
        for _ in range(_MOST_HELD + 1):
            tracing.tracer.start_span("tick").end()
        assert len(tracing.names) == _MOST_HELD + 1
    assert tracing.held._held == {}


def test_shutdown_lets_all_go(tracing: Tracing) -> None:
    """Spans of a signal that is still undecided at the end are not lost."""
    root = tracing.tracer.start_span("signal", Context(), attributes=SIGNAL)
    tracing.tracer.start_span("features", trace.set_span_in_context(root, Context())).end()
    assert tracing.held.force_flush() is True
    assert tracing.names == []
    tracing.provider.shutdown()
    assert tracing.names == ["features"]


def test_sampled_out_signals_hold_nothing() -> None:
    """A trace that is not recorded is not held either."""
    tracing = Tracing(sampler=ALWAYS_OFF)
    with tracing.root():
        tracing.tracer.start_span("features").end()
    assert tracing.names == []
    assert tracing.held._held == {}


def test_a_failure_inside_a_skipped_signal_is_seen(telemetry: Any) -> None:
    """A HOLD leaves no trace of its own, unless something in it failed."""
    with tradespan.signal(symbol="BTC-USD") as s:
        with contextlib.suppress(ValueError), tradespan.stage("features"):
            raise ValueError("no bar")
        s.skip("no features")
    assert [span.name for span in telemetry.spans] == ["features", "signal"]
