"""The console as JSON lines, on request: handlers, levels and filters stay the service's own."""

from __future__ import annotations

import json
import logging
import sys
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

import wrapt

from tradespan.export.log_fields import Fields, message
from tradespan.export.log_values import LONGEST, Plain, short_keys, text
from tradespan.export.redact import Redactor
from tradespan.guard import guard

_FORMAT = guard("logs.json")
_FIRST: Final = ("time", "level", "stream", "service", "logger", "message")


class JsonLines:
    """Makes one line of JSON out of one record, redacted.

    Arguments:
        fields: what stands beside the message.
        redactor: what masks; texts are cut short after that.
        service: name of the service.
    """

    def __init__(self, fields: Fields, redactor: Redactor, service: str) -> None:
        self.fields, self._service = fields, service
        self._redactor = redactor.up_to(LONGEST)

    def line(self, record: logging.LogRecord) -> str:
        """The record as one line without its end."""
        found: dict[str, Any] = {
            "time": rfc3339(record.created),
            "level": record.levelname,
            "service": self._service,
            "logger": record.name,
            "message": message(record),
            **self.fields.of(record),
        }
        exception = found.pop("exception", None) or _exception(record)
        found = Plain()(found)
        if exception:
            found["exception"] = exception
        if record.stack_info:
            found["stack"] = text(record.stack_info)
        masked = self._redactor.attributes(found)
        ordered = {key: masked[key] for key in (*_FIRST, *masked) if key in masked}
        return json.dumps(short_keys(ordered), allow_nan=False, separators=(", ", ": "))


def install(lines: JsonLines) -> None:
    """Let every handler that writes to stdout or stderr write JSON lines, behind a queue too."""

    def form(wrapped: Callable[..., str], handler: logging.Handler, args: Any, kwargs: Any) -> str:
        if is_console(handler):
            with _FORMAT:
                return lines.line(kwargs.get("record") or args[0])
        return wrapped(*args, **kwargs)

    def prepare(wrapped: Callable[..., Any], _: Any, args: Any, kwargs: Any) -> Any:
        said: dict[str, Any] = {}
        with _FORMAT:
            record: logging.LogRecord = kwargs.get("record") or args[0]
            said = {"message": message(record), "exception": _exception(record)}
        prepared = wrapped(*args, **kwargs)  # its message is text now, the exception part of it
        with _FORMAT:
            if isinstance(prepared, logging.LogRecord):
                lines.fields.stamp(prepared, said)
        return prepared

    def queue(module: Any) -> None:
        wrapt.wrap_function_wrapper(module, "QueueHandler.prepare", prepare)

    wrapt.wrap_function_wrapper(logging, "Handler.format", form)
    wrapt.register_post_import_hook(queue, "logging.handlers")


def is_console(handler: logging.Handler) -> bool:
    """Whether the service has configured this handler to write to stdout or stderr."""
    if not isinstance(handler, logging.StreamHandler) or handler is logging.lastResort:
        return False
    stream = handler.stream
    if any(stream is s for s in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__)):
        return True
    try:
        return stream.fileno() in (1, 2)
    except (AttributeError, OSError, ValueError):
        return False


def rfc3339(seconds: float) -> str:
    """A time in UTC, to the millisecond."""
    when = datetime.fromtimestamp(seconds, UTC)
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _exception(record: logging.LogRecord) -> dict[str, str]:
    error: Any = record.exc_info
    told, event = record.exc_text, vars(record)["msg"]
    if not error and isinstance(event, dict):  # structlog's
        error, told = event.get("exc_info"), event.get("exception")
    if isinstance(error, tuple):
        error = error[1]
    if not isinstance(error, BaseException):
        return {"stacktrace": str(told)} if told else {}
    told = "".join(traceback.format_exception(error))
    return {"type": type(error).__qualname__, "message": text(error), "stacktrace": told}
