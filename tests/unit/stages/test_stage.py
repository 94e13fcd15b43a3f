"""A stage ends exactly once, with the right outcome, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from opentelemetry import baggage, context, trace
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.trace import SpanKind, StatusCode

import tradespan
from tradespan import guard
from tradespan import settings as setting
from tradespan.settings import Settings
from tradespan.stages import live

ERRORS = [
    pytest.param(ValueError("x"), "error", id="error"),
    pytest.param(KeyError("x"), "error", id="key-error"),
    pytest.param(StopIteration(), "error", id="stop-iteration"),
    pytest.param(TimeoutError(), "timeout", id="timeout"),
    pytest.param(asyncio.CancelledError(), "cancelled", id="cancelled"),
    pytest.param(GeneratorExit(), "cancelled", id="generator-exit"),
    pytest.param(KeyboardInterrupt(), "cancelled", id="keyboard-interrupt"),
    pytest.param(SystemExit(3), "cancelled", id="system-exit"),
    pytest.param(ExceptionGroup("many", [ValueError()]), "error", id="group"),
]


def ended(telemetry: Any, stage: str, outcome: str) -> None:
    """One span and one measurement, both of this outcome, and nothing running."""
    assert telemetry.span(stage).attributes["trading.outcome"] == outcome
    assert telemetry.total("trading.stage.duration", stage=stage) == 1
    assert telemetry.total("trading.stage.duration", stage=stage, outcome=outcome) == 1
    assert telemetry.last("trading.stage.active", stage=stage) == 0


@pytest.mark.parametrize(("error", "outcome"), ERRORS)
def test_an_exception_ends_it_once_and_goes_on_untouched(
    telemetry: Any, error: BaseException, outcome: str
) -> None:
    """Whatever leaves the block is the very same object, and names the outcome."""
    with pytest.raises(type(error)) as caught:
        with tradespan.risk():
            raise error
    assert caught.value is error
    assert error.__cause__ is None
    ended(telemetry, "risk", outcome)


@pytest.mark.parametrize(("error", "outcome"), ERRORS)
def test_async_with_ends_it_likewise(telemetry: Any, error: BaseException, outcome: str) -> None:
    """`async with` is the same implementation."""

    async def work() -> BaseException:
        try:
            async with tradespan.risk():
                raise error
        except BaseException as seen:
            return seen

    assert asyncio.run(work()) is error
    ended(telemetry, "risk", outcome)


@pytest.mark.parametrize(
    ("error", "status", "events"),
    [
        (None, StatusCode.UNSET, 0),
        (ValueError("broken pipe"), StatusCode.ERROR, 1),
        (TimeoutError("too slow"), StatusCode.ERROR, 1),
        (asyncio.CancelledError(), StatusCode.UNSET, 0),
    ],
)
def test_status_and_exception_event(
    telemetry: Any, error: BaseException | None, status: StatusCode, events: int
) -> None:
    """Only failures set the span's status; the exception is told once, in an event."""
    with contextlib.suppress(BaseException), tradespan.risk():
        if error:
            raise error
    span = telemetry.span("risk")
    assert span.status.status_code is status
    assert len(span.events) == events
    if events:
        assert span.status.description == str(error)
        assert span.events[0].attributes["exception.type"] == type(error).__name__


@pytest.mark.parametrize(
    ("say", "outcome", "reason"),
    [
        (lambda s: s, "ok", None),
        (lambda s: s.reject("too risky"), "rejected", "too risky"),
        (lambda s: s.skip("hold"), "skipped", "hold"),
        (lambda s: s.retry("503"), "error", "503"),
        (lambda s: s.end_as("expired"), "expired", None),
        (lambda s: s.reject("a").end_as("ok", "b"), "ok", "b"),
    ],
)
def test_the_last_word_is_the_outcome(
    telemetry: Any, say: Callable[[Any], Any], outcome: str, reason: str | None
) -> None:
    """What the service says last is the outcome; its reason stands on the span only."""
    with tradespan.stage("hedging") as s:
        assert say(s) is s
    span = telemetry.span("hedging")
    assert span.attributes["trading.outcome"] == outcome
    assert span.attributes.get("trading.reason") == reason
    (point,) = telemetry.metric("trading.stage.duration")
    assert set(point.labels) == {"pipeline", "stage", "outcome"}


def test_an_exception_has_the_last_word(telemetry: Any) -> None:
    """A stage that approved and then raised is an error."""
    with contextlib.suppress(ValueError), tradespan.risk() as r:
        r.approve()
        raise ValueError
    ended(telemetry, "risk", "error")


def test_asyncio_timeout_inside_and_around(telemetry: Any) -> None:
    """Inside `asyncio.timeout` a stage is cancelled; one around it is timed out."""

    async def work() -> None:
        async with tradespan.stage("around"):
            async with asyncio.timeout(0.01):
                async with tradespan.stage("inside"):
                    await asyncio.sleep(30)

    with pytest.raises(TimeoutError):
        asyncio.run(work())
    ended(telemetry, "inside", "cancelled")
    ended(telemetry, "around", "timeout")


def test_cancelled_task_ends_each_nested_stage(telemetry: Any) -> None:
    """Cancelling a task ends all stages that it is in, from the inside out."""

    async def work() -> None:
        with tradespan.stage("outer"), tradespan.stage("inner"):
            await asyncio.sleep(30)

    async def main() -> None:
        task = asyncio.create_task(work())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    ended(telemetry, "inner", "cancelled")
    ended(telemetry, "outer", "cancelled")
    assert [s.name for s in telemetry.spans] == ["inner", "outer"]


def test_ending_again_does_nothing(telemetry: Any) -> None:
    """Only the first end counts, whoever ends it."""
    with tradespan.risk() as r:
        r.end()
        r.end(ValueError())
    r.end()
    ended(telemetry, "risk", "ok")


def test_a_stage_that_never_began_does_not_end(telemetry: Any) -> None:
    """Ending what has not begun exports nothing."""
    tradespan.risk().end()
    assert telemetry.spans == []
    assert telemetry.total("trading.stage.duration") == 0


def test_two_threads_end_it_once(telemetry: Any) -> None:
    """Ends that race are one end."""
    for _ in range(50):
        stage = tradespan.risk().__enter__()
        barrier = threading.Barrier(2)

        def end(stage: Any = stage, barrier: threading.Barrier = barrier) -> None:
            barrier.wait()
            stage.end()

        other = threading.Thread(target=end)
        other.start()
        end()
        other.join()
        context.attach(context.Context())  # the loser may have been this thread
    assert len(telemetry.spans) == 50
    assert telemetry.total("trading.stage.duration") == 50
    assert not live.going_on()
    assert not any(p.value for p in telemetry.metric("trading.stage.active"))


def test_used_twice_it_begins_anew(telemetry: Any) -> None:
    """The second use of one object knows nothing of the outcome and the work of the first."""
    stage = tradespan.risk()
    with stage:
        with tradespan.stage("lookup"):
            time.sleep(0.02)
        stage.reject("no")
    with stage:
        time.sleep(0.005)
    first, second = (s for s in telemetry.spans if s.name == "risk")
    assert first.attributes["trading.outcome"] == "rejected"
    assert second.attributes["trading.outcome"] == "ok"
    assert telemetry.metric("trading.stage.duration", stage="risk", outcome="ok")[0].sum >= 0.004


def test_nested_stages_are_one_trace(telemetry: Any) -> None:
    """A nested stage is a child of the outer one, in the same journey, and current meanwhile."""
    with tradespan.orchestration() as outer:
        assert tradespan.current_stage() is outer
        with tradespan.risk() as inner:
            assert tradespan.current_stage() is inner
            assert inner.signal_id == outer.signal_id
        assert tradespan.current_stage() is outer
    child, parent = telemetry.span("risk"), telemetry.span("orchestration")
    assert child.parent.span_id == parent.context.span_id
    assert child.attributes["trading.signal.id"] == parent.attributes["trading.signal.id"]


def test_concurrent_tasks_keep_apart(telemetry: Any) -> None:
    """Journeys of concurrent tasks do not mix: each child has its own task's parent."""

    async def one() -> None:
        async with tradespan.signal() as outer:
            await asyncio.sleep(0)
            async with tradespan.risk() as inner:
                await asyncio.sleep(0)
                assert inner.signal_id == outer.signal_id
                assert tradespan.current_stage() is inner

    async def main() -> None:
        await asyncio.gather(*(one() for _ in range(20)))

    asyncio.run(main())
    parents = {s.context.span_id: s for s in telemetry.spans if s.name == "signal"}
    children = [s for s in telemetry.spans if s.name == "risk"]
    assert len(parents) == len(children) == 20
    for child in children:
        parent = parents.pop(child.parent.span_id)
        assert parent.context.trace_id == child.context.trace_id
        assert parent.attributes["trading.signal.id"] == child.attributes["trading.signal.id"]


def test_threads_keep_apart(telemetry: Any) -> None:
    """A plain thread does not inherit the journey; each has its own."""

    def work(_: int) -> str:
        with tradespan.signal() as s, tradespan.risk() as r:
            assert r.signal_id == s.signal_id
            return s.signal_id

    with tradespan.signal() as here, ThreadPoolExecutor(4) as pool:
        ids = set(pool.map(work, range(40)))
    assert len(ids) == 40
    assert here.signal_id not in ids
    assert len(telemetry.spans) == 81


def test_to_thread_carries_the_journey(telemetry: Any) -> None:
    """`asyncio.to_thread` goes on with the journey of the task."""

    def work() -> str:
        with tradespan.risk() as r:
            return r.signal_id

    async def main() -> tuple[str, str]:
        async with tradespan.signal() as s:
            return s.signal_id, await asyncio.to_thread(work)

    outer, inner = asyncio.run(main())
    assert outer == inner


def in_a_thread(end: Callable[[], None]) -> None:
    """End in a plain thread."""
    thread = threading.Thread(target=end)
    thread.start()
    thread.join()


def in_to_thread(end: Callable[[], None]) -> None:
    """End where the context has been copied into another thread."""
    asyncio.run(asyncio.to_thread(end))


def in_a_child_task(end: Callable[[], None]) -> None:
    """End in a task, which has a copy of the context."""

    async def child() -> None:
        end()

    asyncio.run(child())


@pytest.mark.parametrize("elsewhere", [in_a_thread, in_to_thread, in_a_child_task])
def test_ended_elsewhere(
    telemetry: Any, caplog: pytest.LogCaptureFixture, elsewhere: Callable[[Any], None]
) -> None:
    """A stage may end in another thread or task: once, without a complaint in the log."""
    token = context.attach(context.get_current())
    stage = tradespan.risk().__enter__()
    with caplog.at_level(logging.DEBUG):
        elsewhere(stage.end)
    context.detach(token)
    ended(telemetry, "risk", "ok")
    assert [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING] == []


def test_ended_out_of_order(telemetry: Any) -> None:
    """Stages whose ends cross do not leave an ended one current."""
    first, second = tradespan.stage("first").__enter__(), tradespan.stage("second").__enter__()
    first.end()
    assert tradespan.current_stage() is second
    second.end()
    assert tradespan.current_stage() is None
    ended(telemetry, "first", "ok")
    ended(telemetry, "second", "ok")


def test_interleaved_plain_generators(telemetry: Any) -> None:
    """Generators with a stage in their body, consumed in turns, leave nothing current."""

    def poll(name: str) -> Iterator[int]:
        with tradespan.stage(name):
            yield 1

    one, two = poll("one"), poll("two")
    next(one)
    next(two)
    assert next(one, None) is next(two, None) is None
    assert tradespan.current_stage() is None


def test_ended_by_the_exit(telemetry: Any) -> None:
    """What is still open at the last flush ends as cancelled, and says who cancelled it."""
    stage = tradespan.execution().__enter__()
    stage.filled(quantity=1, price=2)
    live.end_all(by="shutdown", patience=0)
    stage.__exit__(None, None, None)
    ended(telemetry, "execution", "cancelled")
    assert telemetry.span("execution").attributes["trading.cancelled.by"] == "shutdown"
    context.attach(context.Context())
    live._reset()


def test_kind_is_consumer_only_with_a_carrier(telemetry: Any) -> None:
    """A stage that a carrier brought is a CONSUMER, every other is INTERNAL."""
    with tradespan.signal():
        fields = tradespan.inject({})
    with tradespan.execution(carrier=fields), tradespan.stage("inner"):
        pass
    kinds = {s.name: s.kind for s in telemetry.spans}
    assert kinds == {
        "signal": SpanKind.INTERNAL,
        "execution": SpanKind.CONSUMER,
        "inner": SpanKind.INTERNAL,
    }


def test_values_stand_on_the_span_under_their_names(telemetry: Any) -> None:
    """Known values have the registry's names, the user's own keep theirs, None is left out."""
    event_time = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
    with tradespan.execution(symbol="BTC-USD", side="buy", desk="fx", venue=None) as e:
        e.set(event_time=event_time, model=None).filled(0.5, 97_000.0, order_id="o-1")
    attributes = telemetry.span("execution").attributes
    assert attributes["trading.symbol"] == "BTC-USD"
    assert attributes["trading.side"] == "buy"
    assert attributes["trading.order.id"] == "o-1"
    assert attributes["trading.quantity"] == 0.5
    assert attributes["trading.event.time"] == event_time.timestamp()
    assert attributes["desk"] == "fx"
    assert "trading.venue" not in attributes
    assert "gen_ai.request.model" not in attributes


class Unspeakable:
    """Neither a number nor a text can be had of it."""

    def item(self) -> float:
        raise ValueError("more than one element")

    def __str__(self) -> str:
        raise RuntimeError("no text")


@pytest.mark.parametrize("key", ["weights", "confidence", "symbol"])
def test_a_value_that_cannot_be_told_costs_only_itself(telemetry: Any, key: str) -> None:
    """An array, or an object without a text, takes neither outcome nor metrics with it."""
    with tradespan.signal() as s, tradespan.execution(carrier=tradespan.inject({})) as e:
        s.set(**{key: Unspeakable()})
        e.set(**{key: Unspeakable()}).filled(1.0, 2.0)
    span = telemetry.span("execution")
    assert span.attributes["trading.outcome"] == "ok"
    assert span.attributes["trading.price"] == 2.0
    assert telemetry.total("trading.pipeline.duration", outcome="ok") == 1
    assert telemetry.total("trade_executions", status="filled") == 1


@pytest.mark.parametrize("number", [Decimal("0.83"), 0.83])
def test_numbers_of_any_kind_are_numbers(telemetry: Any, number: Any) -> None:
    """A Decimal is as good as a float, on the span and in the metrics."""
    with tradespan.signal() as s:
        s.confidence(number)
    assert telemetry.span("signal").attributes["trading.confidence"] == pytest.approx(0.83)
    assert telemetry.metric("signal_confidence")[0].sum == pytest.approx(0.83)


@pytest.mark.parametrize(
    "hostile", ["\ud800", "a\nb\r\n", "\x00", "x" * 100_000, "", "%s {0} {x}", 10**400]
)
def test_hostile_values_leave_the_span_exportable(telemetry: Any, hostile: Any) -> None:
    """No text or number of a service makes the exporter lose the batch."""
    with contextlib.suppress(ValueError):
        with tradespan.stage("hedging", symbol=hostile) as s:
            s.set(note=hostile, reason=hostile)
            raise ValueError(hostile)
    assert encode_spans(telemetry.spans).SerializeToString()
    assert telemetry.total("trading.stage.duration", outcome="error") == 1


def test_an_error_without_a_text_is_still_an_error(telemetry: Any) -> None:
    """An exception whose own text fails goes on untouched, and the span says error."""

    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text")

    with pytest.raises(Mute), tradespan.risk():
        raise Mute
    ended(telemetry, "risk", "error")
    assert telemetry.span("risk").status.status_code is StatusCode.ERROR


def test_a_failure_of_ours_does_not_reach_the_service(
    telemetry: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When telemetry itself fails, the block runs, its exception is kept, the failure counts."""
    monkeypatch.setattr(guard, "strict", False)

    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("ours")

    monkeypatch.setattr("tradespan.stages.measure.ended", broken)
    with pytest.raises(KeyError, match="theirs"), tradespan.risk():
        raise KeyError("theirs")
    assert guard.failures["stage.end"] == 1
    assert tradespan.current_stage() is None
    assert len(telemetry.spans) == 1


def test_a_failure_at_the_beginning_leaves_a_usable_stage(
    telemetry: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stage that could not begin takes every word and ends quietly; nothing counts as active."""
    monkeypatch.setattr(guard, "strict", False)

    def broken() -> None:
        raise RuntimeError("ours")

    monkeypatch.setattr("tradespan.stages.measure.tracer", broken)
    with tradespan.execution(symbol="BTC-USD") as e:
        e.filled(1.0, 2.0).set(x=1)
    assert guard.failures["stage.begin"] == 1
    assert telemetry.spans == []
    assert not live.going_on()
    assert not any(p.value for p in telemetry.metric("trading.stage.active"))


def test_switched_off_nothing_is_made(telemetry: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """With TRADESPAN=off the blocks run as if we were not there, whatever SDK stands there."""
    monkeypatch.setattr(setting, "current", Settings(enabled=False))
    with tradespan.signal(symbol="BTC-USD") as s:
        s.confidence(0.5)
        assert tradespan.inject({"a": "b"}) == {"a": "b"}
        with tradespan.execution() as e:
            e.filled(1.0, 2.0)
    with tradespan.call("llm"):
        tradespan.count("balance_check_failures", symbol="BTC-USD")
        tradespan.value("model_load_status", 1)
    assert telemetry.spans == []
    assert telemetry.total("trading.stage.duration") == 0
    assert telemetry.metric("ollama_api_latency") == []
    assert telemetry.metric("model_load_status") == []


def test_ids_reach_foreign_spans_and_baggage(telemetry: Any) -> None:
    """Spans that others start inside a stage have its journey's ids; so has the baggage."""
    with tradespan.signal(signal_id="sig-1"):
        with trace.get_tracer("client").start_as_current_span("GET"):
            assert baggage.get_baggage("trading.signal.id") == "sig-1"
    attributes = telemetry.span("GET").attributes
    assert attributes["trading.signal.id"] == "sig-1"
    assert attributes["trading.pipeline"] == "default"
    assert int(attributes["trading.origin"]) <= time.time_ns()
    assert baggage.get_all() == {}


def test_signal_id(telemetry: Any) -> None:
    """The id is known in the block; before it there is none."""
    stage = tradespan.signal(signal_id="sig-1")
    assert stage.signal_id == ""
    with stage:
        assert stage.signal_id == "sig-1"
        assert tradespan.current_journey() is stage.journey
    assert tradespan.current_journey() is None
    assert "signal_id" not in telemetry.span("signal").attributes


@pytest.mark.parametrize("bad", ["", "x" * 65, "a b", "é", "abc\n", "a\nb", 10**80])
def test_an_id_that_cannot_travel_is_replaced(telemetry: Any, bad: Any) -> None:
    """An id that would not fit into baggage and logs gives way to one of ours."""
    with tradespan.signal(signal_id=bad) as s:
        assert len(s.signal_id) == 16
        assert s.signal_id != str(bad)
