"""Loki: what its query_range answers, as log lines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tradespan.backends.protocol import LogLine
from tradespan.semconv import attributes as names

PAGE = 5000
"""Most lines in one answer."""

_DOTTED = {
    name.replace(".", "_"): name
    for name in vars(names).values()
    if isinstance(name, str) and "." in name and " " not in name
}


def lines(answer: Any) -> list[LogLine]:
    """The lines of an answer. Keys of attributes that the registry knows get their dots back."""
    return list(_lines(answer))


def _lines(answer: Any) -> Iterator[LogLine]:
    for stream in answer["data"]["result"]:
        labels = {_DOTTED.get(key, key): value for key, value in stream["stream"].items()}
        for time_ns, body, *_ in stream["values"]:
            yield LogLine(
                time_ns=int(time_ns),
                service=labels.get("service_name", ""),
                body=body,
                trace_id=labels.get("trace_id"),
                span_id=labels.get("span_id"),
                attributes=labels,
            )
