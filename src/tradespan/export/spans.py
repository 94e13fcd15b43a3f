"""Span processors: ids on every span of a journey, and no trace of a signal that was skipped."""

from __future__ import annotations

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.trace import StatusCode

from tradespan import journey as journeys
from tradespan.guard import guard
from tradespan.semconv.attributes import TRADING_OUTCOME, TRADING_SIGNAL_ID, TRADING_STAGE

_IDS = guard("spans.ids")
_MOST_HELD = 1000  # spans of one undecided signal; more are let go


class JourneyIds(SpanProcessor):
    """Puts the journey's ids on every span that starts in it, whoever starts it."""

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Set them, unless they stand there."""
        with _IDS:
            journey = journeys.current_journey(parent_context)
            if journey is not None and TRADING_SIGNAL_ID not in (span.attributes or {}):
                span.set_attributes(journey.entries())


class HoldUndecided(SpanProcessor):
    """Holds the spans of a signal until it is decided; a skipped one leaves no trace of its own.

    Arguments:
        inner: where the spans of all others go.
    """

    def __init__(self, inner: SpanProcessor) -> None:
        self._inner = inner
        self._held: dict[int, list[ReadableSpan]] = {}

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Begin to hold where the signal is the root of its trace."""
        self._inner.on_start(span, parent_context)
        if span.parent is None and (span.attributes or {}).get(TRADING_STAGE) == "signal":
            self._held[_trace_id(span)] = []

    def on_end(self, span: ReadableSpan) -> None:
        """Hold, let go or drop."""
        held = self._held.get(_trace_id(span))
        if held is None:
            self._inner.on_end(span)
        elif span.parent is not None:
            held.append(span)
            if len(held) > _MOST_HELD:
                self._let_go(_trace_id(span))
        elif _is_skipped(span) and not any(_has_failed(inner) for inner in held):
            self._held.pop(_trace_id(span), None)
        else:
            self._let_go(_trace_id(span))
            self._inner.on_end(span)

    def shutdown(self) -> None:
        """Let all go and shut the inner one down."""
        self._let_all_go()
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Flush what is decided."""
        return self._inner.force_flush(timeout_millis)

    def _let_go(self, trace_id: int) -> None:
        for span in self._held.pop(trace_id, ()):
            self._inner.on_end(span)

    def _let_all_go(self) -> None:
        for trace_id in list(self._held):
            self._let_go(trace_id)


def _is_skipped(span: ReadableSpan) -> bool:
    return (span.attributes or {}).get(TRADING_OUTCOME) == "skipped"


def _has_failed(span: ReadableSpan) -> bool:
    """A failure inside a signal that says HOLD is worth its trace."""
    return span.status.status_code is StatusCode.ERROR


def _trace_id(span: ReadableSpan) -> int:
    return span.context.trace_id if span.context else 0
