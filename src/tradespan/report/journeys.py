"""From a heap of spans to journeys: one for each signal id, with its origin, end and soundness."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tradespan.backends.protocol import Span
from tradespan.semconv import attributes as names

SIGNAL_STAGE = "signal"


@dataclass(frozen=True, slots=True)
class Journey:
    """All spans found of one signal, sorted by start.

    `outcome` is the outcome of the span that ended the journey, None while it has not ended.
    """

    signal_id: str
    spans: tuple[Span, ...]
    outcome: str | None

    @property
    def stages(self) -> tuple[Span, ...]:
        """The spans that are stages, sorted by start."""
        return tuple(span for span in self.spans if span.stage is not None)

    @property
    def origin_ns(self) -> int:
        """Where signal-to-fill starts: the start of the signal span, ns since the epoch.

        Without a signal span (it was lost, or the journey began elsewhere) it is the origin that
        the other spans carry; without that, the start of the first span.
        """
        for span in self.spans:
            if span.stage == SIGNAL_STAGE:
                return span.start_ns
        for span in self.spans:
            carried = str(span.attributes.get(names.TRADING_ORIGIN, ""))
            if carried.isdecimal():
                return int(carried)
        return self.spans[0].start_ns

    @property
    def end_ns(self) -> int:
        """End of the span marked as the journey's end (the first, should there be several),
        else of the stage that ended last; never before the origin. ns since the epoch."""
        marked = [span.end_ns for span in self.spans if ends_journey(span)]
        if marked:
            return max(self.origin_ns, min(marked))
        ends = [span.end_ns for span in self.stages] or [span.end_ns for span in self.spans]
        return max(self.origin_ns, *ends)

    @property
    def duration_ns(self) -> int:
        """Origin to end, in nanoseconds; for a filled journey this is signal-to-fill."""
        return self.end_ns - self.origin_ns

    @property
    def trace_ids(self) -> tuple[str, ...]:
        """The traces its spans stand in; exactly one when nothing broke."""
        return tuple(sorted({span.trace_id for span in self.spans}))

    @property
    def defects(self) -> tuple[str, ...]:
        """What keeps it from being one complete trace; empty for a complete one.

        Complete means: one trace id, one root, every other span's parent present, and a span
        that is marked as the journey's end.
        """
        found = []
        known = {(span.trace_id, span.span_id) for span in self.spans}
        roots = sum(span.parent_id is None for span in self.spans)
        orphans = sum(
            span.parent_id is not None and (span.trace_id, span.parent_id) not in known
            for span in self.spans
        )
        if len(self.trace_ids) > 1:
            found.append(f"{len(self.trace_ids)} traces instead of one")
        if roots != 1:
            found.append(f"{roots} roots instead of one")
        if orphans:
            found.append(f"{orphans} spans whose parent is missing")
        if self.outcome is None:
            found.append("no end")
        return tuple(found)

    def value(self, key: str) -> str | None:
        """The first value of this attribute on any of its spans, as text; None without one."""
        for span in self.spans:
            if key in span.attributes:
                return str(span.attributes[key])
        return None


def ends_journey(span: Span) -> bool:
    """Whether this span is marked as the one that ended its journey."""
    return span.attributes.get(names.TRADING_JOURNEY_END) is True


def gather(spans: Iterable[Span]) -> list[Journey]:
    """Sort spans into journeys by their signal id, oldest origin first.

    A span without a signal id belongs to the journey of its trace, if its trace is that of one
    journey alone; else it is left out (start-up, health checks). A span that a backend holds
    twice (a retried export) counts once.
    """
    unique = list({(span.trace_id, span.span_id): span for span in spans}.values())
    owners: dict[str, set[str]] = defaultdict(set)
    for span in unique:
        if span.signal_id is not None:
            owners[span.trace_id].add(span.signal_id)
    found: dict[str, list[Span]] = defaultdict(list)
    for span in unique:
        inherited = owners.get(span.trace_id, set())
        owner = span.signal_id or (next(iter(inherited)) if len(inherited) == 1 else None)
        if owner is not None:
            found[owner].append(span)
    journeys = [_journey(signal_id, group) for signal_id, group in found.items()]
    return sorted(journeys, key=lambda journey: (journey.origin_ns, journey.signal_id))


def _journey(signal_id: str, spans: Sequence[Span]) -> Journey:
    ordered = tuple(sorted(spans, key=lambda span: (span.start_ns, -span.end_ns, span.span_id)))
    ends = sorted((span for span in ordered if ends_journey(span)), key=lambda span: span.end_ns)
    outcome = str(ends[0].attributes.get(names.TRADING_OUTCOME, "")) if ends else None
    return Journey(signal_id, ordered, outcome)
