"""structlog and loguru write the same record: one line in the service's own set-up.

structlog.configure(processors=[..., structlog_json])     # in place of its renderer
loguru.logger.configure(handlers=[{"sink": loguru_json}])
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, MutableMapping
from typing import Any, Final

from tradespan.export.json_lines import JsonLines
from tradespan.export.log_fields import OF_STRUCTLOG, Fields
from tradespan.export.redact import Redactor
from tradespan.guard import guard

_GUARD = guard("logs.other")
_LEVELS: Final = {"warn": "WARNING", "exception": "ERROR", "fatal": "CRITICAL", "msg": "INFO"}

lines = JsonLines(Fields(), Redactor(), "")
"""How a record is written; the distro puts its own here."""


def _nowhere(_: logging.LogRecord) -> None:
    """Without the distro nothing is exported."""


hand_over: Callable[[logging.LogRecord], None] = _nowhere
"""Exports a record; the distro puts what does it here."""


def structlog_json(
    logger: Any, method: str, event: MutableMapping[str, Any]
) -> str | tuple[tuple[str], dict[str, Any]]:
    """structlog's last processor: the JSON line, or for loggers of `logging` what they make it of.

    Arguments:
        logger: that structlog wraps.
        method: that was called, such as `info`.
        event: what the processors before it have gathered.
    """
    if isinstance(logger, logging.Logger):  # it has handlers, and they are exported already
        known = {k: event.pop(k) for k in ("exc_info", "stack_info") if k in event}
        said = {k: v for k, v in event.items() if k not in OF_STRUCTLOG}
        return (str(event.get("event", "")),), {"extra": _free(said), **known}
    record = _record(
        str(event.get("logger") or getattr(logger, "name", None) or "structlog"),
        _LEVELS.get(method, method.upper()),
        str(event.get("event", "")),
        {k: v for k, v in event.items() if k not in OF_STRUCTLOG},
    )
    error = event.get("exc_info")
    if error is True:
        error = sys.exc_info()
    if isinstance(error, BaseException):
        error = (type(error), error, error.__traceback__)
    record.exc_info = error if isinstance(error, tuple) and error[0] else None
    record.exc_text = event.get("exception")
    return _told(record)


def loguru_json(message: Any) -> None:
    """loguru's sink: the JSON line on stderr, as its own; `loguru_to(stream)` is for another.

    Arguments:
        message: as loguru hands it over, with its `record`.
    """
    loguru_to(None)(message)


def loguru_to(stream: Any) -> Callable[[Any], None]:
    """A loguru sink that writes the JSON line to a stream.

    Arguments:
        stream: such as sys.stdout; None is what stderr is at the time.
    """

    def sink(message: Any) -> None:
        said = message.record
        extra = dict(said["extra"])
        extra.update(extra.pop("extra", None) or {})
        level, error = said["level"], said["exception"]
        record = _record(str(said["name"]), level.name, said["message"], extra)
        record.levelno, record.created = level.no, said["time"].timestamp()
        if error is not None and error.value is not None:
            record.exc_info = (error.type, error.value, error.traceback)
        where = sys.stderr if stream is None else stream
        where.write(_told(record) + "\n")

    return sink


_RESERVED: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


def _free(said: dict[str, Any]) -> dict[str, Any]:
    """Facts under names that a record of `logging` does not use itself."""
    return {f"{k}_" if k in _RESERVED else k: v for k, v in said.items()}


def _record(name: str, level: str, text: str, extra: dict[str, Any]) -> logging.LogRecord:
    number = logging.getLevelName(level)
    return logging.makeLogRecord(
        {
            **_free(extra),
            "name": name,
            "levelname": level,
            "levelno": number if isinstance(number, int) else logging.INFO,
            "msg": text,
        }
    )


def _told(record: logging.LogRecord) -> str:
    """Its line; exported on the way. Never raises."""
    with _GUARD:
        hand_over(record)
    with _GUARD:
        return lines.line(record)
    return record.getMessage()
