"""The figures of one run, read from a backend. What each means stands at its field.

Counts of journeys and stages come from metrics, which are never sampled; times come from traces,
which may be. The two are checked against each other: that is what `lost` and `pending` say.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from tradespan.backends.protocol import Backend, LogLine
from tradespan.report.journeys import Journey, gather
from tradespan.report.percentiles import Percentiles, nearest_rank, percentiles
from tradespan.report.stages import StageRow, stage_rows
from tradespan.semconv import metrics

NAMESPACE = "service.namespace"
_COUNTED_APART = ("ok", "rejected", "skipped")


@dataclass(frozen=True, slots=True)
class JourneyCounts:
    """What became of the signals. All but `lost` add up to the signals of the run.

    Attributes:
        filled: journeys that ended `ok`, by the metric trading.pipeline.duration.
        rejected: journeys that ended `rejected`, likewise.
        skipped: signals that said HOLD, likewise; these have no trace.
        failed: journeys that ended in any other way (error, timeout, cancelled, expired).
        pending: signals of the run whose end no metric has reported.
        lost: journeys that ended by the metric, and of which no ended trace was found. Unknown,
            and 0, when the traces were sampled. (They are among filled, rejected and failed.)
    """

    filled: int
    rejected: int
    skipped: int
    failed: int
    pending: int
    lost: int


@dataclass(frozen=True, slots=True)
class LogCounts:
    """Log lines of the run: all; those that carry a trace id and a signal id; these by service."""

    total: int
    correlated: int
    by_service: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Report:
    """The figures of one run.

    Attributes:
        backend: name of the backend they were read from.
        signals: signals that were to be sent.
        journeys: what became of them.
        complete: journeys found in traces that are one complete trace (`Journey.defects`).
        broken: journeys found in traces that are not, with why.
        sampled: whether the services kept only a part of the traces.
        services: names of the services that sent spans or log lines, sorted.
        stages: a row a stage in the order of their start, then the row `outside`.
        pipeline: signal-to-fill (origin to end) of the filled journeys found in traces; its
            `count` is theirs, `journeys.filled` is the exact one.
        logs: log lines.
        median: the filled journey at the median of signal-to-fill, None without one.
        silent: names of the services that were expected and sent neither, sorted: what a partial
            roll-out leaves dark.
    """

    backend: str
    signals: int
    journeys: JourneyCounts
    complete: int
    broken: Mapping[str, tuple[str, ...]]
    sampled: bool
    services: tuple[str, ...]
    stages: tuple[StageRow, ...]
    pipeline: Percentiles
    logs: LogCounts
    median: Journey | None
    silent: tuple[str, ...] = ()

    @property
    def is_good(self) -> bool:
        """Something was filled, and nothing is pending, lost or broken."""
        counts = self.journeys
        return counts.filled > 0 and not (counts.pending or counts.lost or self.broken)

    def as_dict(self) -> dict[str, object]:
        """The same facts as one JSON object; times in milliseconds, shares from 0 to 1."""
        counts = self.journeys
        return {
            "backend": self.backend,
            "signals": self.signals,
            "journeys": {
                "filled": counts.filled,
                "rejected": counts.rejected,
                "skipped": counts.skipped,
                "failed": counts.failed,
                "pending": counts.pending,
                "lost": counts.lost,
            },
            "traces": {
                "complete": self.complete,
                "broken": len(self.broken),
                "sampled": self.sampled,
            },
            "services": list(self.services),
            "silent": list(self.silent),
            "stages": [row.as_dict() for row in self.stages],
            "pipeline": {
                **self.pipeline.as_dict(),
                "count": counts.filled,
                "traced": self.pipeline.count,
            },
            "logs": {
                "total": self.logs.total,
                "correlated": self.logs.correlated,
                "by_service": dict(self.logs.by_service),
            },
        }


def ended(backend: Backend, namespace: str) -> dict[str, int]:
    """How many journeys have ended, by outcome; outcomes that did not occur are left out."""
    found = backend.total(
        metrics.TRADING_PIPELINE_DURATION.name, by=("outcome",), where={NAMESPACE: namespace}
    )
    return {outcome: count for (outcome,), count in sorted(found.items()) if count}


def read_report(
    backend: Backend,
    namespace: str,
    *,
    signals: int,
    sampled: bool,
    expected: Collection[str] = (),
) -> Report:
    """Read the figures of one run.

    Arguments:
        backend: where its telemetry is.
        namespace: the `service.namespace` that its services ran under.
        signals: number of signals that were to be sent.
        sampled: whether the services kept only a part of the traces.
        expected: names of the services that should report, such as those of tradespan.yaml.

    Raises:
        BackendError: the backend did not answer.
    """
    spans = backend.spans(namespace)
    journeys = gather(spans)
    lines = backend.logs(namespace)
    by_outcome = ended(backend, namespace)
    name, here = metrics.TRADING_STAGE_DURATION.name, {NAMESPACE: namespace}
    counted = backend.total(name, by=("stage", "outcome"), where=here)
    filled = [journey for journey in journeys if journey.outcome == "ok"]
    services = {span.service for span in spans} | {line.service for line in lines}
    defects = {journey.signal_id: journey.defects for journey in journeys if journey.defects}
    return Report(
        backend=backend.name,
        signals=signals,
        journeys=_counts(by_outcome, journeys, signals, sampled),
        complete=len(journeys) - len(defects),
        broken=defects,
        sampled=sampled,
        services=tuple(sorted(services)),
        stages=stage_rows(journeys, counted),
        pipeline=percentiles(journey.duration_ns for journey in filled),
        logs=_logs(lines),
        median=_median(filled),
        silent=tuple(sorted(set(expected) - services)),
    )


def _counts(
    by_outcome: Mapping[str, int], journeys: Sequence[Journey], signals: int, sampled: bool
) -> JourneyCounts:
    traced = Counter(journey.outcome for journey in journeys)
    lost = sum(
        max(0, count - traced[outcome])
        for outcome, count in by_outcome.items()
        if outcome != "skipped"
    )
    filled, rejected, skipped = (by_outcome.get(outcome, 0) for outcome in _COUNTED_APART)
    return JourneyCounts(
        filled=filled,
        rejected=rejected,
        skipped=skipped,
        failed=sum(n for outcome, n in by_outcome.items() if outcome not in _COUNTED_APART),
        pending=max(0, signals - sum(by_outcome.values())),
        lost=0 if sampled else lost,
    )


def _logs(lines: Sequence[LogLine]) -> LogCounts:
    correlated = Counter(line.service for line in lines if line.trace_id and line.signal_id)
    return LogCounts(len(lines), correlated.total(), dict(sorted(correlated.items())))


def _median(filled: Sequence[Journey]) -> Journey | None:
    whole = [journey for journey in filled if not journey.defects] or list(filled)
    if not whole:
        return None
    middle = nearest_rank(sorted(journey.duration_ns for journey in whole), 50)
    return next(journey for journey in whole if journey.duration_ns == middle)
