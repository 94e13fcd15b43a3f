"""What stands beside a log record's message: stream, ids and business context."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from opentelemetry import trace

from tradespan import journey as journeys
from tradespan.export.log_values import Plain, text
from tradespan.semconv import attributes as names

STREAMS: Final = names.ENUMS[names.TRADING_LOG_STREAM]
BY_NAME: Final[Mapping[str, str]] = {
    "security": "security",
    "auth": "security",
    "audit": "security",
    "revenue": "revenue",
    "payments": "revenue",
    "billing": "revenue",
    "trading": "trading",
    "orders": "trading",
}
"""Streams of loggers by the first part of their names, unless the settings say otherwise."""

_OTLP: Final = {
    "stream": names.TRADING_LOG_STREAM,
    "stage": names.TRADING_STAGE,
    "order_id": names.TRADING_ORDER_ID,
    "request_id": names.TRADING_REQUEST_ID,
    "user_id": names.TRADING_USER_ID,
}
_IDS: Final = ("stage", "trace_id", "span_id", "signal_id", "order_id", "request_id", "user_id")
_STAMP: Final = "_tradespan_here"
ALONE: Final = "_tradespan_alone"
"""On a record that is exported, and that the console would not have seen."""
_OURS: Final = ("_logger", "_name", _STAMP, ALONE)  # and structlog's
_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {
    "message", "asctime", "taskName", "color_message", *_OURS,
}  # fmt: skip
OF_STRUCTLOG: Final = frozenset((
    "event", "level", "timestamp", "logger", "exc_info", "stack_info", "exception",
    "_record", "_from_structlog",
))  # fmt: skip
"""Keys of structlog's own in an event."""


def _nothing() -> Mapping[str, Any]:
    return {}


@dataclass(frozen=True, slots=True)
class Fields:
    """Takes from a record what the service said of it, and from here what is going on.

    Attributes:
        by_name: stream by logger name, of a logger and all below it; the longest name wins.
        stage_here: `stage` and `order_id` of the stage that is going on, where there is one.
    """

    by_name: Mapping[str, str] = field(default_factory=dict)
    stage_here: Callable[[], Mapping[str, Any]] = _nothing

    def of(self, record: logging.LogRecord) -> dict[str, Any]:
        """Ids that are known, the stream, and all else of the record's own as `context`."""
        said = own(record)
        found = {**self.here(), **vars(record).get(_STAMP, {})}
        found.update({key: said.pop(key) for key in _IDS if said.get(key) is not None})
        found["stream"] = self._stream(record, said)
        if said:
            found["context"] = said
        return found

    def here(self) -> dict[str, Any]:
        """Ids of the trace, journey and stage that are going on here."""
        found = {k: v for k, v in self.stage_here().items() if v is not None}
        span = trace.get_current_span().get_span_context()
        if span.is_valid:
            found["trace_id"] = trace.format_trace_id(span.trace_id)
            found["span_id"] = trace.format_span_id(span.span_id)
        journey = journeys.current_journey()
        if journey is not None:
            found["signal_id"] = journey.signal_id
        return found

    def stamp(self, record: logging.LogRecord, said: Mapping[str, Any]) -> None:
        """Note on the record what is going on: a queue's listener formats it somewhere else.

        Arguments:
            said: message and exception, which the queue's handler has made one text of.
        """
        vars(record)[_STAMP] = {**self.here(), **{k: v for k, v in said.items() if v}}

    def for_otlp(self, record: logging.LogRecord) -> logging.LogRecord:
        """A copy of the record whose own facts have the registry's names."""
        found = self.of(record)
        told = object.__new__(logging.LogRecord)  # not a copy: its class may format messages anew
        held = vars(told)
        held.update({k: v for k, v in vars(record).items() if k not in _OURS})
        said, plain = own(record), Plain()
        held.update({key: plain(value) for key, value in said.items()})
        held.update(msg=message(record), args=())
        for key, name in _OTLP.items():
            if key in found:
                held[name] = str(found[key])
                if said.get(key) == found[key]:
                    held.pop(key, None)
        return told

    def _stream(self, record: logging.LogRecord, said: dict[str, Any]) -> str:
        if said.get("stream") in STREAMS:
            return str(said.pop("stream"))
        name = record.name
        while name:
            for known in (self.by_name, BY_NAME):
                if name in known:
                    return known[name]
            name = name.rpartition(".")[0]
        return "error" if record.levelno >= logging.ERROR else "application"


def own(record: logging.LogRecord) -> dict[str, Any]:
    """What the service put on the record: `extra=`, and what structlog keeps in the message."""
    found = {k: v for k, v in vars(record).items() if k not in _STANDARD and k[:4] != "otel"}
    if isinstance(record.msg, dict):
        found.update({str(k): v for k, v in record.msg.items() if k not in OF_STRUCTLOG})
    return found


def message(record: logging.LogRecord) -> str:
    """The record's message; of structlog's dict, its event. Never raises.

    One that cannot be made, such as "%d" of a text, is the service's own mistake: it is said as it
    stands, and no failure of ours.
    """
    if isinstance(record.msg, dict) and "event" in record.msg:
        return text(record.msg["event"])
    try:
        return record.getMessage()
    except Exception:
        return text(record.msg)
