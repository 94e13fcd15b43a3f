"""Jaeger: what its /api/services and /api/traces answer, as spans.

Its times are microseconds: a span's start and end may each be up to 2 us early.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from tradespan.backends.protocol import Span

PAGE = 1000
"""Most traces asked for at once; more than its own limit (`max_traces`) is answered with 500."""


def services(answer: Any) -> list[str]:
    """Names of the services that it knows."""
    return sorted(answer["data"] or ())


def traces(answer: Any) -> list[list[Span]]:
    """The spans of an answer, trace by trace."""
    return [list(_spans(trace)) for trace in answer["data"] or ()]


def _spans(trace: Any) -> Iterator[Span]:
    resources = {
        key: {"service.name": process["serviceName"], **_attributes(process.get("tags") or ())}
        for key, process in trace["processes"].items()
    }
    for span in trace["spans"]:
        attributes = _attributes(span.get("tags") or ())
        start_ns = span["startTime"] * 1000
        status = str(attributes.pop("otel.status_code", "unset")).lower()
        yield Span(
            trace_id=span["traceID"].zfill(32),
            span_id=span["spanID"].zfill(16),
            parent_id=_parent(span),
            name=span["operationName"],
            kind=str(attributes.pop("span.kind", "internal")),
            service=str(resources[span["processID"]]["service.name"]),
            start_ns=start_ns,
            end_ns=start_ns + span["duration"] * 1000,
            status="error" if attributes.pop("error", False) is True else status,
            attributes=attributes,
            resource=resources[span["processID"]],
        )


def _parent(span: Any) -> str | None:
    """The parent within the same trace; a link to another trace is no parent."""
    for reference in span.get("references") or ():
        if reference["traceID"] == span["traceID"]:
            return str(reference["spanID"]).zfill(16)
    return None


def _attributes(tags: Sequence[Any]) -> dict[str, object]:
    return {tag["key"]: tag["value"] for tag in tags}
