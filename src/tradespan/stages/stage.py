"""Stage: one step of work in one service; it ends exactly once, with an outcome."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, Final, Self, TypeVar, cast

from opentelemetry import context, trace
from opentelemetry.context import Context
from opentelemetry.trace import SpanKind, StatusCode

from tradespan import current
from tradespan import journey as journeys
from tradespan import settings as setting
from tradespan.decorate import Managed
from tradespan.guard import guard
from tradespan.journey import Journey
from tradespan.semconv import attributes as names
from tradespan.semconv.model import Outcome, StageDefinition
from tradespan.semconv.stages import COMMON_FEEDS, LABELS, STAGES
from tradespan.stages import arrival, live, measure
from tradespan.stages.outcome import FAILED, outcome_of
from tradespan.stages.values import epoch_seconds, plain, text

F = TypeVar("F", bound=Callable[..., Any])
_BEGIN, _END, _SET = guard("stage.begin"), guard("stage.end"), guard("stage.set")
NO_CARRIER: Final = object()


class Stage(Managed):
    """A stage as a context manager (`with`, `async with`) and as a decorator.

    An exception ends it as `error`, CancelledError as `cancelled`, TimeoutError as `timeout`, and
    goes on untouched. Nothing of its own ever raises.

    Arguments:
        name: of the stage; bounded, a metric attribute.
        carrier: what brought the journey (see `tradespan.inject`); left out, the journey of the
            context goes on, as in an HTTP service.
        attempt: number of this delivery, from 1, where the caller knows it.
        ends: whether the stage ends the journey; left out, the registry says.
        values: facts of the stage, as for `set`.
    """

    def __init__(
        self,
        name: str,
        *,
        carrier: object = NO_CARRIER,
        attempt: int | None = None,
        ends: bool | None = None,
        **values: Any,
    ) -> None:
        self.name = name
        self.definition = STAGES.get(name) or StageDefinition(
            name, labels=LABELS, feeds=COMMON_FEEDS
        )
        self.values = {key: value for key, value in values.items() if value is not None}
        self._given = dict(self.values)
        self.journey: Journey | None = None
        self.attempt = attempt
        self.outcome: Outcome | None = None
        self.wait: float | None = None
        self.nested: journeys.Ledger = []
        self._carrier = carrier
        self._ends = ends
        self._retried = False
        self.is_over = True
        self._inside = self.outside = Context()

    @property
    def signal_id(self) -> str:
        """Id of the signal whose journey this is; empty outside the block."""
        return self.journey.signal_id if self.journey else ""

    def set(self, **values: Any) -> Self:
        """State facts of the stage, for its span and the metrics it feeds. Never raises.

        Arguments:
            values: symbol, side, quantity, price, confidence, model, ... or keys of your own, which
                stand on the span only.
        """
        with _SET:
            self.values.update({k: v for k, v in values.items() if v is not None})
        return self

    def end_as(self, outcome: Outcome, reason: str | None = None) -> Self:
        """Say how the stage will end, unless an exception does; the last word counts."""
        self.outcome = outcome
        self._unsay()
        return self.set(reason=reason)

    def reject(self, reason: str | None = None, **values: Any) -> Self:
        """The stage ends as `rejected`."""
        return self.end_as("rejected", reason).set(**values)

    def skip(self, reason: str | None = None) -> Self:
        """The stage ends as `skipped`: there was nothing to do."""
        return self.end_as("skipped", reason)

    def retry(self, reason: str | None = None) -> Self:
        """This attempt failed and will be made again: `error`, and the journey stays open."""
        self._retried = True
        return self.end_as("error", reason)

    def __enter__(self) -> Self:
        with _BEGIN:
            self._begin()
        return self

    def fresh(self, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None) -> Self:
        """A stage like this one that has not begun, for one call of a decorated function."""
        other = super().fresh(args, kwargs)
        other.values, other.nested = dict(self.values), []
        return other

    def end(self, error: BaseException | None = None, by: str | None = None) -> None:
        """End the stage, once. Never raises.

        Arguments:
            error: the exception that left the block.
            by: who cancelled it, when it was not the block itself.
        """
        if self.is_over and not live.is_closing():
            return
        with live.ending(self, by is not None) as mine, _END:
            if mine:
                self.is_over = True
                self._finish(error, by)

    def link(self, carrier: object) -> None:
        """Link the span to a journey whose hand-off came too late to be joined. Never raises."""
        with _SET:
            other = trace.get_current_span(arrival.from_carrier(carrier)).get_span_context()
            if not self.is_over and other.is_valid:
                self._span.add_link(other)

    def pause(self) -> None:
        """Leave the context to the consumer, between two steps of a generator."""
        with _SET:
            if not self.is_over:
                self._inside = context.get_current()
                context.attach(self.outside)

    def resume(self) -> None:
        """Come back to the context that the generator had."""
        with _SET:
            if not self.is_over:
                self.outside = context.get_current()
                context.attach(self._inside)

    def _begin(self) -> None:
        if not setting.current.enabled:
            return
        if self.journey is not None:  # used a second time
            self.values, self.nested, self.outcome, self._retried = (
                dict(self._given),
                [],
                None,
                False,
            )
        given = self._carrier is not NO_CARRIER
        ctx = arrival.from_carrier(self._carrier) if given else context.get_current()
        signal_id = self.values.pop("signal_id", None)
        around = journeys.current_ledger()
        came = arrival.arrive(ctx, self.definition.begins, signal_id, around)
        self.journey, self._ledger = came.journey, came.ledger
        self._started_ns = time.perf_counter_ns()
        if came.hop is not None:
            self.wait, self.attempt = arrival.delivery(
                came.hop, self.name, came.journey, self.attempt
            )
        self._span = measure.start_span(
            self.name, came, SpanKind.CONSUMER if given else SpanKind.INTERNAL
        )
        inside = journeys.with_ledger(self.nested, trace.set_span_in_context(self._span, came.ctx))
        self.is_over = False
        self.outside = context.get_current()
        context.attach(current.with_stage(self, inside))
        live.add(self)
        measure.began(self, came.journey)

    def _finish(self, error: BaseException | None, by: str | None) -> None:
        raised: Outcome | None = "cancelled" if by else outcome_of(error)
        if raised and raised != self.outcome:
            self._unsay()
        outcome = self.outcome = raised or self.outcome or "ok"
        current.leave(self)
        ended_ns = time.perf_counter_ns()
        waited = int((self.wait or 0.0) * 1e9)
        if self._ledger is not None:
            self._ledger.append((self._started_ns - waited, ended_ns))
        assert self.journey is not None
        seconds = (ended_ns - self._started_ns) / 1e9
        work = max(0.0, seconds - journeys.spent(self.nested) / 1e9)
        try:
            last = measure.ended(self, self.journey, seconds, work, self._is_end(outcome))
            self._describe(outcome, last, by)
            if outcome in FAILED:
                reason = self.values.get("reason", "") if error is None else error
                self._span.set_status(StatusCode.ERROR, text(reason))
            if error is not None and outcome in FAILED:
                with suppress(Exception):  # its own text may fail
                    self._span.record_exception(error)
        finally:
            self._span.end()

    def _unsay(self) -> None:
        """Forget the words for an outcome that is no longer the one."""
        for label in self.definition.labels:
            self.values.pop(label, None)

    def _is_end(self, outcome: str) -> bool:
        if self._retried and outcome == "error":
            return False
        return outcome in self.definition.ends if self._ends is None else self._ends

    def _describe(self, outcome: str, last: bool, by: str | None) -> None:
        attributes: dict[str, Any] = {names.TRADING_OUTCOME: outcome}
        if self.wait is not None:
            attributes[names.TRADING_WAIT] = self.wait
        if self.attempt is not None and self.attempt > 1:
            attributes[names.TRADING_ATTEMPT] = self.attempt
        if last:
            attributes[names.TRADING_JOURNEY_END] = True
        if by:
            attributes[names.TRADING_CANCELLED_BY] = by
        if isinstance(self.values.get("event_time"), datetime):
            self.values["event_time"] = epoch_seconds(self.values["event_time"])
        for key, value in self.values.items():
            attributes[names.SPAN_VALUES.get(key, key)] = plain(value)
        self._span.set_attributes(attributes)


def current_stage() -> Stage | None:
    """The innermost stage that is going on here, or None."""
    return cast("Stage | None", current.innermost())
