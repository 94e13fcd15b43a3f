"""Whose journey a stage is in, and what the hand-off says: wait and attempt."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link

from tradespan import instruments
from tradespan import journey as journeys
from tradespan import settings as setting
from tradespan.handoffs import carrier as carriers
from tradespan.journey import Hop, Journey, Ledger
from tradespan.memory import Memory
from tradespan.semconv import metrics

_deliveries = Memory()


@dataclass(slots=True)
class Arrival:
    """How a journey came to a stage.

    Attributes:
        ctx: context in which the stage begins.
        journey: the one that arrived, or a new one.
        hop: the hand-off, where there was one for this journey.
        ledger: where the stage notes what it took; what is around it leaves that out.
        links: to the trace that a new journey set out from.
        first: whether this is the first stage after the hand-off.
    """

    ctx: Context
    journey: Journey
    hop: Hop | None
    ledger: Ledger | None
    links: list[Link] = field(default_factory=list)
    first: bool = False


def from_carrier(carrier: object) -> Context:
    """The context that a carrier brings."""
    return carriers.arrived(carrier)


def arrive(
    ctx: Context, begins: bool, signal_id: str | None, ledger: Ledger | None = None
) -> Arrival:
    """Take up the journey of a context, or begin one.

    Arguments:
        ctx: the current one, or the one that a carrier brought.
        begins: whether the stage always begins a new journey.
        signal_id: the service's own id for a new journey.
        ledger: of the stage around this one, where the context comes from a carrier.
    """
    arrived, hop = journeys.current_journey(ctx), journeys.current_hop(ctx)
    ledger = ledger if ledger is not None else journeys.current_ledger(ctx)
    first = hop is not None and not hop.taken
    if arrived is not None and not begins:
        return Arrival(ctx, arrived, hop, ledger, first=first)
    links: list[Link] = []
    if arrived is not None and arrived.trigger == "signal":  # not inside another signal's trace
        links = [Link(trace.get_current_span(ctx).get_span_context())]
        ctx = trace.set_span_in_context(trace.INVALID_SPAN, ctx)
    journey = _begin(begins, hop, signal_id)
    ctx = journeys.with_journey(journey, ctx)
    if begins:  # what came before belongs to another journey
        hop, ctx = None, journeys.with_hop(None, ctx)
    return Arrival(ctx, journey, hop, ledger, links, first)


def delivery(
    hop: Hop, stage: str, journey: Journey, attempt: int | None
) -> tuple[float | None, int | None]:
    """Wait in seconds and number of the delivery, for the first stage after the hand-off.

    Arguments:
        attempt: the number that the caller knows, from 1.

    Returns:
        The wait, None when unknown (which is counted), never negative; and the attempt.
    """
    if not hop.take():
        return None, attempt
    wait, problem = _wait(hop)
    if problem:
        anomaly = {"pipeline": journey.pipeline, "stage": stage, "reason": problem}
        instruments.record(metrics.TRADING_HANDOFF_ANOMALIES, 1, anomaly)
    if hop.stamp:
        attempt = max(_deliveries.count((stage, hop.stamp)), attempt or 1)
    if attempt is not None and attempt > 1:
        again = {"pipeline": journey.pipeline, "reason": "entry"}
        instruments.record(metrics.TRADING_JOURNEY_REDELIVERED, 1, again)
    return wait, attempt


def _begin(begins: bool, hop: Hop | None, signal_id: str | None) -> Journey:
    trigger = "signal" if begins else "broken" if hop is not None and hop.broken else "manual"
    journey = journeys.begin(signal_id, trigger)
    if trigger == "broken" and hop is not None:
        why = {"pipeline": journey.pipeline, "reason": hop.broken}
        instruments.record(metrics.TRADING_JOURNEY_BROKEN, 1, why)
    begun = {"pipeline": journey.pipeline, "trigger": trigger}
    instruments.record(metrics.TRADING_JOURNEY_BEGUN, 1, begun)
    return journey


def _wait(hop: Hop) -> tuple[float | None, str | None]:
    """Seconds since the hand-off, and what is wrong with it."""
    if hop.sent_ns is None:
        return None, hop.problem
    wait = (time.time_ns() - hop.sent_ns) / 1e9
    if wait > setting.current.max_wait:
        return None, "stale"
    return (0.0, "skew") if wait < 0 else (wait, hop.problem)


def reset() -> None:
    """Forget deliveries; for tests."""
    _deliveries.clear()
