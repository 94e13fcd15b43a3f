"""One journey cut into disjoint segments that add up to its duration, to the nanosecond.

At each instant between origin and end, what began last and is still running holds it: a stage at
work, or the wait of a stage (from its hand-off to its start). An instant that nothing holds lies
`outside` any stage. So a stage's work is exclusive of the stages nested in it and of those that
run beside it and began later, and nothing is found by subtraction.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from tradespan.backends.protocol import Span
from tradespan.report.journeys import Journey
from tradespan.semconv import attributes as names

Part = Literal["wait", "work", "outside"]
OUTSIDE = "outside"


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of a journey: from `start_ns` to `end_ns` (ns since the epoch), held by one part of
    one stage. `stage` is `outside` where nothing held it."""

    start_ns: int
    end_ns: int
    stage: str
    part: Part

    @property
    def duration_ns(self) -> int:
        """Nanoseconds from start to end, above 0."""
        return self.end_ns - self.start_ns


def wait_ns(span: Span) -> int:
    """Nanoseconds between hand-off and start of a stage; 0 where it is not known."""
    value = span.attributes.get(names.TRADING_WAIT)
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        return 0
    return round(value * 1e9)


def cut(journey: Journey) -> list[Segment]:
    """Cut a journey into its segments, in order, without gap or overlap.

    Their durations add up to `journey.duration_ns` exactly. Neighbours differ in stage or part.
    What lies before the origin (a clock that is behind) or after the end is not counted. Of two
    that began at the same instant, work holds it before wait, then the one that ends first.
    """
    origin, end = journey.origin_ns, journey.end_ns
    claims = [claim for claim in _claims(journey.stages) if claim.start_ns < end]
    bounds = {origin, end}
    for claim in claims:
        bounds.update(time for time in (claim.start_ns, claim.end_ns) if origin < time < end)
    found: list[Segment] = []
    for start, stop in pairwise(sorted(bounds)):
        holder = _holder(claims, start, stop)
        stage, part = (holder.stage, holder.part) if holder else (OUTSIDE, "outside")
        if found and (found[-1].stage, found[-1].part) == (stage, part):
            start = found.pop().start_ns
        found.append(Segment(start, stop, stage, part))
    return found


def _claims(stages: Iterable[Span]) -> Iterable[Segment]:
    for span in stages:
        stage = span.stage or span.name
        waited = wait_ns(span)
        if waited:
            yield Segment(span.start_ns - waited, span.start_ns, stage, "wait")
        if span.end_ns > span.start_ns:
            yield Segment(span.start_ns, span.end_ns, stage, "work")


def _holder(claims: Iterable[Segment], start: int, stop: int) -> Segment | None:
    running = [claim for claim in claims if claim.start_ns <= start and claim.end_ns >= stop]
    return max(
        running,
        key=lambda claim: (claim.start_ns, claim.part == "work", -claim.end_ns, claim.stage),
        default=None,
    )
