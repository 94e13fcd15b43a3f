"""Credentials leave no process: redaction in the exporter, before anything is cut short."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from typing import Any, TypeVar

from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from tradespan.guard import guard

T = TypeVar("T")
MASK = "****"
_KEYS = (
    r"pass(?:word|wd|phrase)", r"secret", r"api[_.-]?key", r"(?:private|access)[_.-]?key",
    r"credential", r"authorization", r"cookie", r"(?:^|[_.-])(?:signature|sign)$",
    r"(?:^|[_.-])(?:access|auth|refresh|bearer|session)?[_-]?token$",
)  # fmt: skip
_VALUES = (
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END[^-]*-----|\Z)", re.S), MASK),
    (re.compile(r"(?i)\b(bearer)\s+(?=\S*[\d._-])[\w.~+/=-]{8,}"), rf"\1 {MASK}"),
    (re.compile(r"\b([Bb]asic|BASIC)\s+(?=\S*[\dA-Z=])[A-Za-z\d+/]{8,}={0,2}"), rf"\1 {MASK}"),
    (re.compile(r"(?<=://)([^/\s:@]*):[^/\s]*@"), rf"\1:{MASK}@"),
    (re.compile(r"\beyJ[\w-]{8,2000}\.[\w-]{8,4000}\.[\w-]*"), MASK),
    (re.compile(r"\b(?:sk|pk|ghp|xox[abp])[-_][\w-]{16,}"), MASK),
    (
        re.compile(  # a key; its value up to the closing quote, or the end of a text cut short
            r"(?is)((?:password|passwd|passphrase|secret|(?:api|access)[_-]?key|token|signature|"
            r"(?:api|access)-sign)(?:\\{0,8}[\"'])?\s{0,8}[=:]\s{0,8})"
            r"(?:(\\{0,8}[\"'])(?:(?!\2).)*|[^\s\"',;&}\\]+)"
        ),
        rf"\1\2{MASK}",
    ),
)
_REDACT = guard("export.redact")


class Redactor:
    """Masks what looks like a credential.

    Arguments:
        keys: more patterns (regular expressions) of attribute keys whose values are masked whole.
    """

    def __init__(self, keys: Iterable[str] = ()) -> None:
        self._keys = [re.compile(key, re.IGNORECASE) for key in ("|".join(_KEYS), *keys)]

    def text(self, value: str) -> str:
        """The text with tokens, passwords and signatures in it masked."""
        for pattern, replacement in _VALUES:
            value = pattern.sub(replacement, value)
        return value if value.isascii() else value.encode("utf-8", "replace").decode()

    def value(self, value: Any) -> Any:
        """Any attribute value or log body, masked in depth; NaN and infinity by their names."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, float):  # a search of Jaeger's that finds a NaN answers 500
            return value if math.isfinite(value) else str(value)
        if isinstance(value, Mapping):
            return self.attributes(value)
        if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray | memoryview):
            return [self.value(v) for v in value]
        return value

    def attributes(self, attributes: Mapping[str, Any]) -> dict[str, Any]:
        """Attributes with the values of secret keys masked whole, and texts masked inside."""
        return {
            str(key): MASK if any(k.search(str(key)) for k in self._keys) else self.value(value)
            for key, value in attributes.items()
        }

    def span(self, span: ReadableSpan) -> ReadableSpan:
        """A copy of the span, masked; the span itself is not touched."""
        masked = copy(span)
        masked._attributes = self.attributes(span.attributes or {})
        masked._name = self.text(span.name)
        if span.events:
            masked._events = tuple(
                Event(self.text(e.name), self.attributes(e.attributes or {}), e.timestamp)
                for e in span.events
            )
        if span.status.description:
            masked._status = type(span.status)(
                span.status.status_code, self.text(span.status.description)
            )
        return masked

    def record(self, record: ReadableLogRecord) -> ReadableLogRecord:
        """A copy of the log record, masked; the record itself is not touched."""
        inner = copy(record.log_record)
        inner.body = self.value(inner.body)
        inner.attributes = self.attributes(inner.attributes or {})
        masked = copy(record)
        object.__setattr__(masked, "log_record", inner)
        return masked


def _each(mask: Callable[[T], T], items: Sequence[T]) -> list[T]:
    """Masked copies; an item that cannot be masked is left out and counted, the others go on."""
    masked: list[T] = []
    for item in items:
        with _REDACT:
            masked.append(mask(item))
    return masked


class SafeSpanExporter(SpanExporter):
    """Redacts spans and tells how each export went.

    Arguments:
        inner: the configured exporter.
        redactor: what masks.
        told: is told whether an export succeeded.
    """

    def __init__(
        self, inner: SpanExporter, redactor: Redactor, told: Callable[[bool], None]
    ) -> None:
        self._inner, self._redactor, self._told = inner, redactor, told

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Export masked copies; what cannot be masked does not leave."""
        masked = _each(self._redactor.span, spans)
        result = self._inner.export(masked)
        self._told(result is SpanExportResult.SUCCESS)
        return result

    def shutdown(self) -> None:
        """Shut the configured exporter down."""
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Flush the configured exporter."""
        return self._inner.force_flush(timeout_millis)


class SafeLogExporter(LogRecordExporter):
    """Redacts log records and tells how each export went; arguments as `SafeSpanExporter`."""

    def __init__(
        self, inner: LogRecordExporter, redactor: Redactor, told: Callable[[bool], None]
    ) -> None:
        self._inner, self._redactor, self._told = inner, redactor, told

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        """Export masked copies; what cannot be masked does not leave."""
        masked = _each(self._redactor.record, batch)
        result = self._inner.export(masked)
        self._told(result is LogRecordExportResult.SUCCESS)
        return result

    def shutdown(self) -> None:
        """Shut the configured exporter down."""
        self._inner.shutdown()  # type: ignore[no-untyped-call]

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Flush the configured exporter, where it can be."""
        flush = getattr(self._inner, "force_flush", None)
        return bool(flush(timeout_millis)) if flush else True
