"""One journey as a picture in text: a bar a span on a common time axis."""

from __future__ import annotations

import urllib.parse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tradespan.backends.protocol import Span
from tradespan.report.journeys import Journey
from tradespan.report.segments import wait_ns
from tradespan.semconv import attributes as names


@dataclass(frozen=True, slots=True)
class Style:
    """Characters of the bars."""

    wait: str = "░"
    work: str = "█"
    other: str = "─"


ASCII = Style(wait=".", work="#", other="-")
"""For a terminal that shows nothing else."""


_LONGEST = 26
_HEAD = ("", "service", "offset", "wait", "took")


def waterfall(journey: Journey, style: Style | None = None, *, columns: int = 110) -> str:
    """Draw one journey, stages in the order of their start, other spans indented below theirs.

    Columns: the service, the offset of the start from the origin, the wait before it and how
    long it took, in milliseconds; then the bar, wait and work apart.

    Arguments:
        journey: what to draw.
        style: characters of the bars.
        columns: characters that a line may have; the bars take what is left, from 24 on.
    """
    style = style or Style()
    spans = tuple(_ordered(journey))
    rows = [_HEAD, *(_cells(span, journey) for span in spans)]
    widths = [max(len(row[index]) for row in rows) for index in range(len(_HEAD))]
    room = max(24, columns - sum(widths) - 2 * len(widths))
    bars = [_axis(journey, room), *(_bar(span, journey, style, room) for span in spans)]
    lines = [_line(row, widths, bar) for row, bar in zip(rows, bars, strict=True)]
    legend = f"{style.wait * 2} wait (hand-off to start)   {style.work * 2} stage   "
    return "\n".join([*_title(journey), "", *lines, "", f"{legend}{style.other * 2} other span"])


def _title(journey: Journey) -> Iterator[str]:
    what = " ".join(
        value
        for key in (names.TRADING_SYMBOL, names.TRADING_SIDE)
        if (value := journey.value(key)) is not None
    )
    how = {"ok": "filled", None: "not ended"}.get(journey.outcome, journey.outcome)
    took = f"{journey.duration_ns / 1e6:.1f} ms"
    yield f"One signal, {what + ', ' if what else ''}{how} after {took}"
    yield f"signal {journey.signal_id}, trace {', '.join(journey.trace_ids)}"


def _ordered(journey: Journey) -> Iterator[Span]:
    """Each stage, then the other spans whose nearest stage above it is."""
    by_id = {span.span_id: span for span in journey.spans}
    below: dict[str | None, list[Span]] = {}
    for span in journey.spans:
        if span.stage is None:
            below.setdefault(_nearest_stage(span, by_id), []).append(span)
    yield from below.get(None, ())
    for stage in journey.stages:
        yield stage
        yield from below.get(stage.span_id, ())


def _nearest_stage(span: Span, by_id: dict[str, Span]) -> str | None:
    seen: set[str] = set()
    at: Span | None = span
    while at is not None and at.stage is None and at.span_id not in seen:
        seen.add(at.span_id)
        at = by_id.get(at.parent_id) if at.parent_id else None
    return at.span_id if at is not None and at.stage is not None else None


def _cells(span: Span, journey: Journey) -> tuple[str, ...]:
    """Label, service, offset, wait and time taken, as text."""
    is_stage = span.stage is not None
    return (
        f"{span.stage}{_mark(span)}" if is_stage else f"  {_what(span)} ({span.kind})",
        span.service,
        f"{(span.start_ns - journey.origin_ns) / 1e6:.1f}",
        f"{wait_ns(span) / 1e6:.1f}" if names.TRADING_WAIT in span.attributes else "",
        f"{span.duration_ns / 1e6:.1f}",
    )


def _what(span: Span) -> str:
    """The span's name; of an HTTP client's, which is the method alone, with the path."""
    url = span.attributes.get("url.full")
    if span.kind != "client" or not isinstance(url, str):
        return span.name
    path = urllib.parse.urlsplit(url).path.rstrip("/")
    short = path if len(path) <= _LONGEST else f"..{path[-_LONGEST:]}"
    return f"{span.name} {short}" if path else span.name


def _mark(span: Span) -> str:
    outcome = span.attributes.get(names.TRADING_OUTCOME)
    attempt = span.attributes.get(names.TRADING_ATTEMPT)
    again = f" #{attempt}" if attempt else ""
    return again if outcome in ("ok", None) else f"{again} ({outcome})"


def _bar(span: Span, journey: Journey, style: Style, room: int) -> str:
    def column(time_ns: int) -> int:
        share = (time_ns - journey.origin_ns) / max(1, journey.duration_ns)
        return round(min(1.0, max(0.0, share)) * room)

    start = min(column(span.start_ns), room - 1)
    end = max(column(span.end_ns), start + 1)
    handed = min(column(span.start_ns - wait_ns(span)), start)
    mark = style.other if span.stage is None else style.work
    return " " * handed + style.wait * (start - handed) + mark * (end - start)


def _axis(journey: Journey, room: int) -> str:
    end = f"{journey.duration_ns / 1e6:.1f} ms"
    return "0" + end.rjust(room - 1)


def _line(cells: Sequence[str], widths: Sequence[int], bar: str) -> str:
    texts = [cell.ljust(width) for cell, width in zip(cells[:2], widths[:2], strict=True)]
    numbers = [cell.rjust(width) for cell, width in zip(cells[2:], widths[2:], strict=True)]
    return "  ".join([*texts, *numbers, bar]).rstrip()
