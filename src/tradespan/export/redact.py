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
_IN_ANY_CASE = ""  # found in lower case, far quicker than by (?i); masked after the groups
_VALUES = (  # each begins with letters, not with \b, so that a text without them is soon searched
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END[^-]*-----|\Z)", re.S), MASK),
    (re.compile(r"(bearer(?<!\w.{6})\s+)(?=\S*[\d._-])[\w.~+/=-]{8,}"), _IN_ANY_CASE),
    (
        re.compile(r"(Basic|basic|BASIC)(?<!\w.{5})\s+(?=\S*[\dA-Z=])[A-Za-z\d+/]{8,}={0,2}"),
        rf"\1 {MASK}",
    ),
    (re.compile(r"://([^/\s:@]*):[^/\s]*@"), rf"://\1:{MASK}@"),
    (re.compile(r"eyJ(?<!\w.{3})[\w-]{8,2000}\.[\w-]{8,4000}\.[\w-]*"), MASK),
    (
        re.compile(
            r"(?:sk(?<!\w.{2})|pk(?<!\w.{2})|ghp(?<!\w.{3})|xox[abp](?<!\w.{4}))[-_][\w-]{16,}"
        ),
        MASK,
    ),
    (
        re.compile(  # a key; its value up to the closing quote, or the end of a text cut short
            r"(?s)((?:password|passwd|passphrase|secret|(?:api|access)[_-]?key|token|signature|"
            r"(?:api|access)-sign)(?:\\{0,8}[\"'])?\s{0,8}[=:]\s{0,8})"
            r"(?:(\\{0,8}[\"'])(?:(?!\2).)*|[^\s\"',;&}\\]+)"
        ),
        _IN_ANY_CASE,
    ),
)
_AT_THE_CUT = 16_384  # characters before a cut, in which a credential may have lost its end
_REDACT = guard("export.redact")


class Redactor:
    """Masks what looks like a credential.

    Arguments:
        keys: more patterns (regular expressions) of attribute keys whose values are masked whole.
    """

    def __init__(self, keys: Iterable[str] = ()) -> None:
        self._keys = [re.compile(key, re.IGNORECASE) for key in ("|".join(_KEYS), *keys)]
        self._longest: int | None = None

    def up_to(self, longest: int) -> Redactor:
        """The same, which leaves so many characters of a text, and reads twice as many at most."""
        short = copy(self)
        short._longest = longest
        return short

    def text(self, value: str) -> str:
        """The text with tokens, passwords and signatures in it masked."""
        longest = self._longest
        if longest is None or len(value) <= longest:
            return _masked(value)
        masked = _masked(value[: 2 * longest])
        if len(value) > 2 * longest:
            masked = masked[:-_AT_THE_CUT]
        elif len(masked) <= longest:
            return masked
        return masked[:longest] + "..."

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


def _masked(value: str) -> str:
    for pattern, replacement in _VALUES:
        value = pattern.sub(replacement, value) if replacement else _in_any_case(pattern, value)
    return value if value.isascii() else value.encode("utf-8", "replace").decode()


def _in_any_case(pattern: re.Pattern[str], value: str) -> str:
    """The text, masked where the pattern finds something in its lower case, after the groups."""
    parts: list[str] = []
    at = 0
    for found in pattern.finditer(_lower(value)):
        parts += value[at : found.end(found.lastindex or 0)], MASK
        at = found.end()
    return "".join((*parts, value[at:])) if at else value


def _lower(value: str) -> str:
    """In lower case, as (?i) understands it, and each character in its place."""
    if not value.isascii():
        value = value.replace("\u0130", "i").replace("\u0131", "i").replace("\u017f", "s")
    return value.lower()


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
