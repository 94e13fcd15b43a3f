"""The propagator: the journey in W3C headers, and a stamp on every hand-off.

It wraps the configured propagator. Inject stamps `trading.sent` into a copy of the baggage; extract
takes it out again, reads the journey, and leaves a `Hop` for the first stage.
"""

from __future__ import annotations

import time

from opentelemetry import baggage, trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context, get_current
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.propagators.textmap import (
    CarrierT,
    Getter,
    Setter,
    TextMapPropagator,
    default_getter,
    default_setter,
)

from tradespan import journey as journeys
from tradespan.guard import guard
from tradespan.journey import Hop
from tradespan.semconv.attributes import TRADING_SENT

_INJECT = guard("propagation.inject")
_EXTRACT = guard("propagation.extract")
_LARGEST = 8192  # bytes of one header: the limit of W3C baggage


class JourneyPropagator(TextMapPropagator):
    """Carries the journey through whatever the configured propagator writes to.

    Arguments:
        inner: the configured propagator; W3C baggage is added where it has none.
    """

    def __init__(self, inner: TextMapPropagator) -> None:
        if "baggage" not in inner.fields:
            inner = CompositePropagator([inner, W3CBaggagePropagator()])
        self._inner = inner

    @property
    def fields(self) -> set[str]:
        """Names of the headers that it writes."""
        return set(self._inner.fields)

    def inject(
        self,
        carrier: CarrierT,
        context: Context | None = None,
        setter: Setter[CarrierT] = default_setter,
    ) -> None:
        """Write context and journey into the carrier, with the stamp of this hand-off."""
        ctx = get_current() if context is None else context
        with _INJECT:
            if journeys.current_journey(ctx) is not None:
                span_id = trace.get_current_span(ctx).get_span_context().span_id
                stamp = f"{time.time_ns()}-{span_id:016x}"
                ctx = baggage.set_baggage(TRADING_SENT, stamp, ctx)
        self._inner.inject(carrier, ctx, setter)

    def extract(
        self,
        carrier: CarrierT,
        context: Context | None = None,
        getter: Getter[CarrierT] = default_getter,
    ) -> Context:
        """Read context and journey from the carrier; what cannot be read is told to the stage."""
        before = get_current() if context is None else context
        with _EXTRACT:
            if self._oversized(carrier, getter):
                return journeys.with_hop(Hop(problem="malformed", broken="oversized"), before)
            ctx = self._inner.extract(carrier, before, getter)
            return _arrived(ctx, self._unread(carrier, ctx, getter))
        return before

    def _oversized(self, carrier: CarrierT, getter: Getter[CarrierT]) -> bool:
        values = (v for f in self.fields for v in getter.get(carrier, f) or ())
        return any(len(v) > _LARGEST for v in values)

    def _unread(self, carrier: CarrierT, ctx: Context, getter: Getter[CarrierT]) -> bool:
        """Whether there is a traceparent that the inner propagator could not read."""
        there = any(getter.get(carrier, "traceparent") or ())
        return there and not trace.get_current_span(ctx).get_span_context().is_valid


def _arrived(ctx: Context, unread: bool) -> Context:
    """The context with journey and hop in it, its stamp taken out of the baggage."""
    sent = baggage.get_baggage(TRADING_SENT, ctx)
    ctx = baggage.remove_baggage(TRADING_SENT, ctx)
    try:
        journey = journeys.read(ctx)
    except ValueError:
        return journeys.with_hop(Hop(problem="malformed", broken="malformed"), ctx)
    if unread:
        return journeys.with_hop(Hop(problem="malformed", broken="malformed"), ctx)
    if journey is None:
        return ctx
    parent = trace.get_current_span(ctx).get_span_context().span_id
    return journeys.with_hop(_hop(sent, parent), journeys.with_journey(journey, ctx))


def _hop(sent: object, parent: int) -> Hop:
    if sent is None:
        return Hop(problem="missing")
    clock, _, span_id = str(sent).partition("-")
    try:
        sent_ns, sender = journeys.wall_clock(clock), int(span_id[:16], 16)
    except ValueError:
        return Hop(problem="malformed")
    if sender != parent or not parent:
        return Hop(problem="foreign")
    return Hop(sent_ns=sent_ns, stamp=str(sent))
