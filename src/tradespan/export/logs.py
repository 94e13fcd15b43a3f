"""The service's log records over OTLP, with trace and journey, and its console left as it was.

No handler on the root logger: that would take warnings off stderr, miss INFO where nothing was
configured, and see nothing of loggers that do not propagate. Instead each record passes by here
once, whatever the service configured.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

import wrapt
from opentelemetry.instrumentation.logging.handler import LoggingHandler
from opentelemetry.instrumentation.utils import is_instrumentation_enabled
from opentelemetry.sdk._logs import LogRecordProcessor, ReadWriteLogRecord

from tradespan import journey as journeys
from tradespan.export.log_fields import ALONE, Fields
from tradespan.export.outage import Outage, going_on
from tradespan.guard import guard

_HAND_OVER = guard("logs.hand_over")
_IDS = guard("logs.ids")
_INTERNAL = ("opentelemetry", "urllib3", "tradespan.outage")
_EXPORTERS = (
    "opentelemetry.exporter",
    "opentelemetry.sdk.metrics._internal.export",
    "opentelemetry.sdk._shared_internal",
)
_REFUSED = ("Failed to export",)
_FAILED = (*_REFUSED, "Transient error", "Exception while", "Shutdown in progress", "Exporter al")
_DROPPED = ("Queue full",)


class JourneyLogIds(LogRecordProcessor):
    """Puts the journey's ids on every log record of it."""

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        """Set them beside the record's own attributes."""
        with _IDS:
            journey = journeys.current_journey()
            if journey is not None:
                record = log_record.log_record
                record.attributes = {**(record.attributes or {}), **journey.entries()}

    def shutdown(self) -> None:
        """Nothing to end."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:  # noqa: ARG002
        """Nothing is held."""
        return True


class _HandOver(LoggingHandler):
    def __init__(self, level: int, export: bool, fields: Fields) -> None:
        super().__init__(level=level)
        self._export, self._fields = export, fields

    def take(self, record: logging.LogRecord) -> None:
        """Export a record, where that is wanted and it is not the export's own."""
        if self.wants(record.levelno) and not _internal(record.name):
            with _HAND_OVER:
                self.handle(self._fields.for_otlp(record))

    def wants(self, level: int) -> bool:
        """Whether records of this level are exported."""
        return self._export and level >= self.level

    def flush(self) -> None:
        """Nothing: logging.shutdown asks for it when no thread can be started any more."""


def install(
    outage: Outage, export: bool, fields: Fields, level: int = logging.INFO
) -> Callable[[logging.LogRecord], None]:
    """Hand every record of at least `level` over to OpenTelemetry, once.

    Arguments:
        outage: is told what the exporters complain of; they do not write themselves.
        export: whether log records are exported at all.
        fields: stream, stage and ids that are exported beside the record's own attributes.
        level: least level handed over. A level that the service has set holds here too; only the
            root's WARNING, which it has where nobody set it, does not.

    Returns:
        What exports a record that no logger of `logging` has seen.
    """
    handler = _HandOver(level, export, fields)
    passing = _PassingBy(handler, outage)
    wrapt.wrap_function_wrapper(logging, "Logger.isEnabledFor", passing.is_enabled_for)
    wrapt.wrap_function_wrapper(logging, "Logger.makeRecord", passing.make_record)
    wrapt.wrap_function_wrapper(logging, "Logger.callHandlers", passing.call_handlers)
    return handler.take


class _PassingBy:
    """Lets a record through for the export alone where the console would not have seen it.

    Arguments:
        handler: takes the records.
        outage: is told what the exporters complain of.
    """

    def __init__(self, handler: _HandOver, outage: Outage) -> None:
        self._handler, self._outage = handler, outage
        self._asked = threading.local()  # logger and level of which the answer was ours just now

    def is_enabled_for(
        self, wrapped: Callable[..., bool], logger: logging.Logger, args: Any, kwargs: Any
    ) -> bool:
        """Also what only the export wants."""
        if wrapped(*args, **kwargs):
            self._asked.last = None
            return True
        level: int = kwargs.get("level", args[0] if args else 0)
        let = self._handler.wants(level) and _wanted(logger, level)
        self._asked.last = (logger, level) if let else None
        return let

    def make_record(
        self,
        wrapped: Callable[..., logging.LogRecord],
        logger: logging.Logger,
        args: Any,
        kwargs: Any,
    ) -> logging.LogRecord:
        """Note on it who wants it: filters, which come first, may log themselves."""
        if not self._was_asked(logger, kwargs.get("level", args[1] if len(args) > 1 else 0)):
            return wrapped(*args, **kwargs)
        try:
            record = wrapped(*args, **kwargs)
        except KeyError:  # `extra` overwrites what a record has; without us nobody had noticed
            record = wrapped(*args[:8])
        vars(record)[ALONE] = True
        return record

    def call_handlers(
        self, wrapped: Callable[..., None], logger: logging.Logger, args: Any, kwargs: Any
    ) -> None:
        """A record made elsewhere is the console's, unless its sender has asked just before."""
        record: logging.LogRecord = kwargs.get("record") or args[0]
        if _of_the_export(record) or _of_an_outage(record, self._outage):
            return
        if ALONE not in vars(record) and not self._was_asked(logger, record.levelno):
            wrapped(*args, **kwargs)
        self._handler.take(record)

    def _was_asked(self, logger: logging.Logger, level: int) -> bool:
        last, self._asked.last = getattr(self._asked, "last", None), None
        return last == (logger, level)


def _wanted(logger: logging.Logger, level: int) -> bool:
    """Whether only the root's WARNING is against such records, which is nobody's own word."""
    if _internal(logger.name) or logger.disabled or logger.manager.disable >= level:
        return False
    said: logging.Logger | None = logger
    while said is not None and not said.level:
        said = said.parent
    return said is None or (said is logger.root and said.level == logging.WARNING)


def _of_the_export(record: logging.LogRecord) -> bool:
    """Whether the exporters' own HTTP client speaks: a console at DEBUG is not for that."""
    return record.name.startswith("urllib3") and not is_instrumentation_enabled()


def _of_an_outage(record: logging.LogRecord, outage: Outage) -> bool:
    """Whether an exporter complains of the Collector: then it is said once, in our words."""
    if not record.name.startswith(_EXPORTERS):
        return False
    message = str(record.msg)
    if message.startswith(_FAILED):
        refused = message.startswith(_REFUSED) and "due to timeout" not in message
        outage.failed(record.getMessage() if refused else "")
        return True
    return message.startswith(_DROPPED) and going_on()


def _internal(name: str) -> bool:
    return name.startswith(_INTERNAL)
