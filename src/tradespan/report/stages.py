"""The rows of a report: what each stage counted, waited and worked, and what lay outside."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tradespan.report.journeys import Journey
from tradespan.report.percentiles import Percentiles, nearest_rank, percentiles
from tradespan.report.segments import OUTSIDE, cut
from tradespan.semconv import attributes as names


@dataclass(frozen=True, slots=True)
class StageRow:
    """One row. Its times come from the journeys that ended and were found in traces.

    Attributes:
        stage: name of the stage, or `outside`.
        count: how often the stage ended, by the metric trading.stage.duration (never sampled);
            for `outside`, the number of journeys.
        outcomes: the same by outcome.
        wait: per journey, the time the stage's waits held it; only of journeys where the
            hand-off was known.
        work: per journey, the time the stage's own work held it, without the stages nested in
            it; for `outside`, the time that nothing held.
        elapsed: per journey, origin to the end of the stage (of its last attempt).
        share: wait and work of this row as a part of the total time of all these journeys, 0 to
            1; the shares of all rows add up to 1.
    """

    stage: str
    count: int
    outcomes: Mapping[str, int]
    wait: Percentiles
    work: Percentiles
    elapsed: Percentiles
    share: float

    def as_dict(self) -> dict[str, object]:
        """As a JSON object; percentiles in milliseconds."""
        return {
            "stage": self.stage,
            "count": self.count,
            "outcomes": dict(self.outcomes),
            "wait": self.wait.as_dict(),
            "work": self.work.as_dict(),
            "elapsed": self.elapsed.as_dict(),
            "share": round(self.share, 6),
        }


@dataclass(slots=True)
class _Times:
    """What the journeys spent in one stage; each list has a value (ns) a journey."""

    starts: list[int] = field(default_factory=list)
    waits: list[int] = field(default_factory=list)
    works: list[int] = field(default_factory=list)
    elapsed: list[int] = field(default_factory=list)
    held: int = 0


def stage_rows(
    journeys: Iterable[Journey], counted: Mapping[tuple[str, ...], int]
) -> tuple[StageRow, ...]:
    """The rows of these journeys, in the order in which their stages usually start; last `outside`.

    Arguments:
        journeys: as found in traces; those that have not ended are left out.
        counted: (stage, outcome) to the number of stages that ended so, by the metrics.
    """
    finished = [journey for journey in journeys if journey.outcome is not None]
    times: dict[str, _Times] = defaultdict(_Times)
    outside = [_add(journey, times) for journey in finished]
    total = sum(journey.duration_ns for journey in finished)
    stages = {stage for stage, _ in counted if stage} | set(times)
    ordered = sorted(stages, key=lambda stage: _place(stage, times))
    rows = [_row(stage, times[stage], counted, total) for stage in ordered]
    nothing = percentiles(())
    share = sum(outside) / total if total else 0.0
    last = StageRow(OUTSIDE, len(finished), {}, nothing, percentiles(outside), nothing, share)
    return (*rows, last)


def _add(journey: Journey, times: dict[str, _Times]) -> int:
    """Add one journey's times to each of its stages; return its nanoseconds outside them."""
    held: dict[tuple[str, str], int] = defaultdict(int)
    for segment in cut(journey):
        held[segment.stage, segment.part] += segment.duration_ns
    for stage in {span.stage for span in journey.stages if span.stage}:
        spans = [span for span in journey.stages if span.stage == stage]
        entry = times[stage]
        entry.starts.append(spans[0].start_ns - journey.origin_ns)
        if any(names.TRADING_WAIT in span.attributes for span in spans):
            entry.waits.append(held[stage, "wait"])
        entry.works.append(held[stage, "work"])
        entry.elapsed.append(max(0, max(span.end_ns for span in spans) - journey.origin_ns))
        entry.held += held[stage, "wait"] + held[stage, "work"]
    return held[OUTSIDE, "outside"]


def _place(stage: str, times: Mapping[str, _Times]) -> tuple[bool, int, str]:
    starts = sorted(times[stage].starts) if stage in times else []
    return (not starts, nearest_rank(starts, 50) if starts else 0, stage)


def _row(stage: str, times: _Times, counted: Mapping[tuple[str, ...], int], total: int) -> StageRow:
    outcomes = {
        outcome: count for (name, outcome), count in sorted(counted.items()) if name == stage
    }
    return StageRow(
        stage=stage,
        count=sum(outcomes.values()),
        outcomes=_commonest_first(outcomes),
        wait=percentiles(times.waits),
        work=percentiles(times.works),
        elapsed=percentiles(times.elapsed),
        share=times.held / total if total else 0.0,
    )


def _commonest_first(outcomes: Mapping[str, int]) -> dict[str, int]:
    pairs: Sequence[tuple[str, int]] = sorted(outcomes.items(), key=lambda pair: (-pair[1], pair))
    return {outcome: count for outcome, count in pairs if count}
