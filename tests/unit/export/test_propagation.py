"""The propagator carries the journey by headers, beside whatever is configured."""

from __future__ import annotations

import time
from typing import Any

import pytest
from opentelemetry import baggage, context, trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

import tradespan
from tradespan import journey
from tradespan.export.propagation import JourneyPropagator

W3C = CompositePropagator([TraceContextTextMapPropagator(), W3CBaggagePropagator()])
propagator = JourneyPropagator(W3C)


def headers() -> dict[str, str]:
    """Headers of a call made here and now."""
    carrier: dict[str, str] = {}
    propagator.inject(carrier)
    return carrier


@pytest.mark.parametrize(
    ("inner", "fields"),
    [
        (W3C, {"traceparent", "tracestate", "baggage"}),
        (TraceContextTextMapPropagator(), {"traceparent", "tracestate", "baggage"}),
        (CompositePropagator([]), {"baggage"}),
    ],
)
def test_baggage_is_always_among_its_fields(inner: Any, fields: set[str]) -> None:
    """W3C baggage is added where the configured propagator has none."""
    assert JourneyPropagator(inner).fields == fields


def test_outside_a_journey_it_is_the_configured_one(telemetry: Any) -> None:
    """Without a journey nothing is added, and nothing is found."""
    assert headers() == {}
    with trace.get_tracer("x").start_as_current_span("x"):
        assert set(headers()) == {"traceparent"}
    ctx = propagator.extract(headers(), Context())
    assert journey.current_hop(ctx) is None
    assert journey.current_journey(ctx) is None


def test_a_plain_trace_from_outside_is_no_broken_journey(telemetry: Any) -> None:
    """A caller that has a trace but no journey is not counted as an anomaly."""
    ctx = propagator.extract({"traceparent": f"00-{'a' * 32}-{'b' * 16}-01"}, Context())
    assert trace.get_current_span(ctx).get_span_context().trace_id == int("a" * 32, 16)
    assert journey.current_hop(ctx) is None


def test_round_trip(telemetry: Any) -> None:
    """Journey, parent and the moment of the hand-off arrive."""
    with tradespan.signal(signal_id="sig-1") as s:
        before = time.time_ns()
        carrier = headers()
        span = trace.get_current_span().get_span_context()
    ctx = propagator.extract(carrier, Context())
    assert journey.current_journey(ctx) == s.journey
    assert trace.get_current_span(ctx).get_span_context().span_id == span.span_id
    hop = journey.current_hop(ctx)
    assert hop is not None
    assert hop.sent_ns is not None
    assert before <= hop.sent_ns <= time.time_ns()
    assert hop.problem is hop.broken is None
    assert baggage.get_baggage("trading.sent", ctx) is None


def test_each_handoff_has_its_own_stamp(telemetry: Any) -> None:
    """Two hand-offs of one span are two stamps; the context itself is never stamped."""
    with tradespan.signal():
        first, second = headers()["baggage"], headers()["baggage"]
        assert first != second
        assert "trading.sent" not in baggage.get_all()


def test_injecting_changes_no_context(telemetry: Any) -> None:
    """The stamp stands in the carrier, on a copy."""
    with tradespan.signal():
        before = context.get_current()
        headers()
        assert context.get_current() is before


def test_extract_keeps_what_the_given_context_holds(telemetry: Any) -> None:
    """What a server put into the context before is still there."""
    with tradespan.signal():
        carrier = headers()
    ctx = propagator.extract(carrier, context.set_value("mine", 1, Context()))
    assert context.get_value("mine", ctx) == 1
    assert journey.current_journey(ctx) is not None


def test_a_sampled_out_journey_travels_whole(telemetry: Any) -> None:
    """Without a recording span the journey, the flags and the wait go on all the same."""
    tracer = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False).get_tracer("x")
    ctx = journey.with_journey(journey.begin("sig-1"), Context())
    ctx = trace.set_span_in_context(tracer.start_span("signal", ctx), ctx)
    carrier: dict[str, str] = {}
    propagator.inject(carrier, ctx)
    found = propagator.extract(carrier, Context())
    span = trace.get_current_span(found).get_span_context()
    assert span.is_valid
    assert not span.trace_flags.sampled
    arrived, hop = journey.current_journey(found), journey.current_hop(found)
    assert arrived is not None
    assert arrived.signal_id == "sig-1"
    assert hop is not None
    assert hop.sent_ns is not None


class Headers:
    """Header values as servers hand them over: several of one name, in any case."""

    def get(self, carrier: Any, key: str) -> list[str] | None:
        found = [v for k, v in carrier if k.lower() == key]
        return found or None

    def keys(self, carrier: Any) -> list[str]:
        return [k for k, _ in carrier]


def test_a_getter_of_a_server(telemetry: Any) -> None:
    """Headers of a server, through its own getter, work as well."""
    with tradespan.signal(signal_id="sig-1"):
        carrier = [(k.title(), v) for k, v in headers().items()]
    ctx = propagator.extract(carrier, Context(), Headers())  # type: ignore[arg-type]
    found = journey.current_journey(ctx)
    assert found is not None
    assert found.signal_id == "sig-1"


@pytest.mark.parametrize("count", [0, 64, 180, 400])
def test_much_foreign_baggage(telemetry: Any, count: int) -> None:
    """Other people's entries, however many, never make extraction fail."""
    with tradespan.signal():
        carrier = headers()
    carrier["baggage"] += "".join(f",k{n}=v" for n in range(count))
    ctx = propagator.extract(carrier, Context())
    assert journey.current_hop(ctx) is not None


def test_a_malformed_journey_leaves_the_trace(telemetry: Any) -> None:
    """Baggage that cannot be read breaks the journey, not the trace that brought it."""
    carrier = {
        "traceparent": f"00-{'a' * 32}-{'b' * 16}-01",
        "baggage": "trading.signal.id=x,trading.origin=soon",
    }
    ctx = propagator.extract(carrier, Context())
    hop = journey.current_hop(ctx)
    assert hop is not None
    assert (hop.problem, hop.broken) == ("malformed", "malformed")
    assert journey.current_journey(ctx) is None
    assert trace.get_current_span(ctx).get_span_context().is_valid
