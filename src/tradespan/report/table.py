"""The report as plain text: a row a stage, then what became of the signals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tradespan.report.figures import Report
from tradespan.report.percentiles import Percentiles
from tradespan.report.segments import OUTSIDE
from tradespan.report.stages import StageRow

_HEAD = ("stage", "count", "p50", "p95", "p99", "p50", "p95", "p99", "p50", "p95", "share", "ended")
_GROUPS = ((2, 4, "wait, ms"), (5, 7, "work, ms"), (8, 9, "elapsed, ms"))
_GAPS = frozenset((2, 5, 8, 10, 11))  # columns with a wider gap before them
_NONE = "-"
_LEGEND = (
    "wait     hand-off to start of the stage",
    "work     inside the stage, without the stages and hand-offs nested in it",
    "elapsed  start of the signal to end of the stage",
    "share    wait and work as a part of the time of all journeys; all rows add up to 100%",
)


def table(report: Report) -> str:
    """The figures of a run as text, without colour, lines at most about 110 characters long."""
    rows = [_row(row) for row in report.stages]
    widths = [max(len(row[i]) for row in (_HEAD, *rows)) for i in range(len(_HEAD))]
    lines = [_groups(widths), _line(_HEAD, widths)]
    lines += [_line(row, widths) for row in rows]
    return "\n".join([*lines, "", *_LEGEND, "", *_facts(report)])


def _row(row: StageRow) -> tuple[str, ...]:
    share = f"{row.share:.1%}"
    if row.stage == OUTSIDE:
        name, count, note = "outside any stage", "", ""
    else:
        name, count, note = row.stage, str(row.count), _words(row.outcomes.items())
    times = (*_three(row.wait), *_three(row.work), *_three(row.elapsed)[:2])
    return (name, count, *times, share, note)


def _three(found: Percentiles) -> tuple[str, str, str]:
    p50, p95, p99 = (
        _NONE if value is None else f"{value:.1f}"
        for value in (found.p50_ms, found.p95_ms, found.p99_ms)
    )
    return p50, p95, p99


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    parts = []
    for index, (cell, width) in enumerate(zip(cells, widths, strict=True)):
        gap = "" if not index else "   " if index in _GAPS else "  "
        is_text = index in (0, len(cells) - 1)
        parts.append(gap + (cell.ljust(width) if is_text else cell.rjust(width)))
    return "".join(parts).rstrip()


def _groups(widths: Sequence[int]) -> str:
    line = ""
    for first, last, title in _GROUPS:
        start = sum(widths[:first]) + sum(3 if i in _GAPS else 2 for i in range(1, first + 1))
        size = sum(widths[first : last + 1]) + 2 * (last - first)
        line = line.ljust(start) + f" {title} ".center(size, "-")
    return line


def _facts(report: Report) -> Iterable[str]:
    found, filled = report.pipeline, report.journeys.filled
    if found.p50_ms is not None:
        of = "" if found.count == filled else f", timed on {found.count} traced ones"
        yield (
            f"Signal to fill   p50 {found.p50_ms:.1f} ms, p95 {found.p95_ms:.1f} ms, "
            f"p99 {found.p99_ms:.1f} ms   ({filled} fills{of})"
        )
    counts = report.journeys
    yield f"Signals          {report.signals}: " + _words(
        [
            ("filled", counts.filled),
            ("rejected", counts.rejected),
            ("skipped (HOLD)", counts.skipped),
            ("failed", counts.failed),
            ("pending", counts.pending),
            ("lost", counts.lost),
        ]
    )
    kept = " (sampled)" if report.sampled else ""
    yield f"Traces           {report.complete} complete, {len(report.broken)} broken{kept}"
    for signal_id, defects in list(report.broken.items())[:3]:
        yield f"                 signal {signal_id}: {', '.join(defects)}"
    logs = report.logs
    yield f"Log lines        {logs.total}, of which {logs.correlated} belong to a signal's journey"
    yield f"Services         {_services(report)}"


def _services(report: Report) -> str:
    names = ", ".join(report.services) or "none"
    if not report.silent:
        return names
    heard, all_of_them = len(report.services), len(report.services) + len(report.silent)
    return f"{heard} of {all_of_them} report: {names}; silent: {', '.join(report.silent)}"


def _words(pairs: Iterable[tuple[str, int]]) -> str:
    return ", ".join(f"{count} {word}" for word, count in pairs if count) or "none"
