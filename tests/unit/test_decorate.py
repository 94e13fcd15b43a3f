"""A decorated function keeps its kind and signature, and each call is one stage."""

from __future__ import annotations

import asyncio
import copy
import functools
import gc
import inspect
import pickle
from collections.abc import AsyncIterator, Generator, Iterator
from typing import Any

import pytest
from opentelemetry import trace

import tradespan
from tradespan.stages import live


@tradespan.risk()
def function(a: int, *, b: str = "x") -> str:
    """A function."""
    return f"{a}{b}"


@tradespan.risk()
async def coroutine(a: int, *, b: str = "x") -> str:
    """A coroutine."""
    await asyncio.sleep(0)
    return f"{a}{b}"


@tradespan.risk()
def generator(a: int, *, b: str = "x") -> Iterator[str]:
    """A generator."""
    yield f"{a}{b}"


@tradespan.risk()
async def async_generator(a: int, *, b: str = "x") -> AsyncIterator[str]:
    """An async generator."""
    yield f"{a}{b}"


ALL = [function, coroutine, generator, async_generator]


def outcomes(telemetry: Any, name: str = "risk") -> list[str]:
    """How the stages of this name ended, in order."""
    return [s.attributes["trading.outcome"] for s in telemetry.spans if s.name == name]


def run(function: Any, *args: Any, **kwargs: Any) -> Any:
    """The result, whatever kind of function it is."""
    result = function(*args, **kwargs)
    if inspect.iscoroutine(result):
        return asyncio.run(result)
    if inspect.isasyncgen(result):

        async def first() -> Any:
            (item,) = [item async for item in result]
            return item

        return asyncio.run(first())
    return next(iter(list(result))) if inspect.isgenerator(result) else result


@pytest.mark.parametrize("decorated", ALL, ids=lambda f: f.__name__)
def test_the_kind_of_function_is_kept(decorated: Any) -> None:
    """Signature, name, docstring and kind are those of the function itself."""
    plain = inspect.unwrap(decorated)
    assert plain is not decorated
    assert inspect.signature(decorated) == inspect.signature(plain)
    assert (decorated.__name__, decorated.__doc__) == (plain.__name__, plain.__doc__)
    for kind in (
        inspect.iscoroutinefunction,
        inspect.isgeneratorfunction,
        inspect.isasyncgenfunction,
    ):
        assert kind(decorated) == kind(plain)


@pytest.mark.parametrize("decorated", ALL, ids=lambda f: f.__name__)
def test_each_call_is_a_stage_of_its_own(telemetry: Any, decorated: Any) -> None:
    """Two calls are two stages and two journeys; arguments and results pass through."""
    assert run(decorated, 1) == "1x"
    assert run(decorated, 2, b="y") == "2y"
    assert outcomes(telemetry) == ["ok", "ok"]
    assert len({s.attributes["trading.signal.id"] for s in telemetry.spans}) == 2


@pytest.mark.parametrize("decorated", ALL, ids=lambda f: f.__name__)
def test_wrong_arguments_leave_no_stage_open(telemetry: Any, decorated: Any) -> None:
    """A call that cannot even begin raises as ever, and whatever stage began has ended."""
    with pytest.raises(TypeError, match="missing 1 required"):
        run(decorated)
    assert not live.going_on()
    assert not any(p.value for p in telemetry.metric("trading.stage.active"))


def test_recursion_nests(telemetry: Any) -> None:
    """A decorated function that calls itself nests its stages."""

    @tradespan.stage("step")
    def countdown(n: int) -> int:
        return countdown(n - 1) if n else 0

    countdown(3)
    assert outcomes(telemetry, "step") == ["ok"] * 4
    assert len({s.context.trace_id for s in telemetry.spans}) == 1


def test_methods(telemetry: Any) -> None:
    """Methods of every kind can be stages."""

    class Desk:
        @tradespan.risk()
        def assess(self, order: int) -> tuple[Any, int]:
            return self, order

        @classmethod
        @tradespan.risk()
        def of(cls, order: int) -> tuple[Any, int]:
            return cls, order

        @staticmethod
        @tradespan.risk()
        def alone(order: int) -> int:
            return order

        @tradespan.risk()
        async def later(self) -> Any:
            return self

    desk = Desk()
    assert desk.assess(1) == (desk, 1)
    assert Desk.of(2) == (Desk, 2)
    assert desk.alone(3) == 3
    assert asyncio.run(desk.later()) is desk
    assert outcomes(telemetry) == ["ok"] * 4


@pytest.mark.parametrize(
    ("error", "outcome"),
    [(ValueError("x"), "error"), (TimeoutError(), "timeout"), (KeyboardInterrupt(), "cancelled")],
    ids=lambda v: v if isinstance(v, str) else type(v).__name__,
)
def test_errors_go_on_untouched(telemetry: Any, error: BaseException, outcome: str) -> None:
    """An exception in any kind of function is re-raised, the very same, and names the outcome."""

    @tradespan.risk()
    def plain() -> None:
        raise error

    @tradespan.risk()
    async def coro() -> None:
        raise error

    @tradespan.risk()
    def gen() -> Iterator[int]:
        yield 1
        raise error

    @tradespan.risk()
    async def agen() -> AsyncIterator[int]:
        yield 1
        raise error

    async def catch(kind: Any) -> BaseException | None:
        try:
            result = kind()
            if inspect.isasyncgen(result):
                async for _ in result:
                    pass
            elif inspect.iscoroutine(result):
                await result
            else:
                list(result or ())
        except BaseException as seen:
            return seen
        return None

    for kind in (plain, coro, gen, agen):
        assert asyncio.run(catch(kind)) is error
    assert outcomes(telemetry) == [outcome] * 4


def test_concurrent_calls(telemetry: Any) -> None:
    """One decorated coroutine running many times at once is as many stages."""

    @tradespan.signal()
    async def one(n: int) -> str:
        stage = tradespan.current_stage()
        await asyncio.sleep(0.001 * (n % 3))
        assert tradespan.current_stage() is stage
        journey = tradespan.current_journey()
        return journey.signal_id if journey else ""

    async def main() -> list[str]:
        return list(await asyncio.gather(*map(one, range(20))))

    assert len(set(asyncio.run(main()))) == 20
    assert outcomes(telemetry, "signal") == ["ok"] * 20


def test_the_stage_inside_is_the_current_one(telemetry: Any) -> None:
    """A decorated function speaks to its stage by `current_stage`."""

    @tradespan.risk()
    def assess() -> None:
        stage = tradespan.current_stage()
        assert stage is not None
        stage.reject("limit")

    assess()
    assess()
    assert outcomes(telemetry) == ["rejected", "rejected"]


def test_values_of_one_call_do_not_reach_the_next(telemetry: Any) -> None:
    """What one call states is not there in the next."""

    @tradespan.risk(symbol="BTC-USD")
    def assess(desk: str) -> None:
        stage = tradespan.current_stage()
        assert stage is not None
        stage.set(**{desk: True})

    assess("one")
    assess("two")
    second = telemetry.spans[1].attributes
    assert "two" in second
    assert "one" not in second
    assert second["trading.symbol"] == "BTC-USD"


# --- generators


@tradespan.stage("poll")
def echo() -> Generator[Any, Any, str]:
    """Yields what it is sent, and survives ValueError."""
    got: Any = "begun"
    while got != "stop":
        assert tradespan.current_stage() is not None
        try:
            got = yield got
        except ValueError as error:
            got = error
    return "done"


def test_generator_send_throw_and_return(telemetry: Any) -> None:
    """send, throw and the returned value reach and leave the generator unchanged."""
    stream = echo()
    assert telemetry.spans == []
    assert next(stream) == "begun"
    assert stream.send("a") == "a"
    error = ValueError("x")
    assert stream.throw(error) is error
    with pytest.raises(StopIteration) as stop:
        stream.send("stop")
    assert stop.value.value == "done"
    assert outcomes(telemetry, "poll") == ["ok"]


def test_between_two_steps_the_consumer_stands_in_its_own_context(telemetry: Any) -> None:
    """While the generator rests its stage is not current; a stage of the consumer's is no child."""
    with tradespan.stage("consumer") as consumer:
        for _ in zip(echo(), range(3), strict=False):
            assert tradespan.current_stage() is consumer
            with tradespan.stage("work"):
                pass
    parent = telemetry.span("consumer").context.span_id
    assert {s.parent.span_id for s in telemetry.spans if s.name == "work"} == {parent}


def test_yield_inside_a_nested_stage(telemetry: Any) -> None:
    """What the generator has in the context when it yields rests with it, and comes back."""
    seen = []

    @tradespan.stage("poll")
    def poll() -> Iterator[int]:
        with tradespan.stage("entry") as entry:
            yield 1
            seen.append(tradespan.current_stage() is entry)
            with trace.get_tracer("x").start_as_current_span("query"):
                yield 2
        current = tradespan.current_stage()
        seen.append(current is not None and current.name == "poll")

    for _ in poll():
        assert tradespan.current_stage() is None
        assert not trace.get_current_span().get_span_context().is_valid
    assert seen == [True, True]
    by_name = {s.name: s for s in telemetry.spans}
    assert by_name["query"].parent.span_id == by_name["entry"].context.span_id
    assert by_name["entry"].parent.span_id == by_name["poll"].context.span_id


def test_break_close_and_drop_cancel_it(telemetry: Any) -> None:
    """A generator left behind has not done its work: `cancelled`, however it was left."""
    for _ in echo():
        break
    gc.collect()
    stream = echo()
    next(stream)
    stream.close()
    stream.close()
    assert outcomes(telemetry, "poll") == ["cancelled", "cancelled"]


def test_a_generator_never_started_is_no_stage(telemetry: Any) -> None:
    """A generator that nobody asks for an item has done nothing."""
    echo().close()
    assert telemetry.spans == []


def test_cleanup_of_a_closed_generator_runs_in_its_stage(telemetry: Any) -> None:
    """`finally` of the generator runs on close, and its errors come out."""
    cleaned = []

    @tradespan.stage("poll")
    def poll() -> Iterator[int]:
        try:
            yield 1
        finally:
            stage = tradespan.current_stage()
            cleaned.append(stage.name if stage else None)

    stream = poll()
    next(stream)
    stream.close()
    assert cleaned == ["poll"]
    assert outcomes(telemetry, "poll") == ["cancelled"]


def test_async_generator_asend_athrow_aclose(telemetry: Any) -> None:
    """asend, athrow and aclose reach the async generator; leaving it early is `cancelled`."""

    @tradespan.stage("poll")
    async def aecho() -> Any:
        got: Any = "begun"
        while True:
            await asyncio.sleep(0)
            assert tradespan.current_stage() is not None
            try:
                got = yield got
            except ValueError as error:
                got = error

    async def main() -> None:
        stream = aecho()
        assert await anext(stream) == "begun"
        assert tradespan.current_stage() is None
        assert await stream.asend("a") == "a"
        error = ValueError("x")
        assert await stream.athrow(error) is error
        await stream.aclose()
        async for _ in aecho():
            break  # the loop's own finaliser closes it

    asyncio.run(main())
    gc.collect()
    assert outcomes(telemetry, "poll") == ["cancelled", "cancelled"]


def test_async_generator_cancelled_in_a_step(telemetry: Any) -> None:
    """A task cancelled while the async generator works ends its stage as cancelled."""

    @tradespan.stage("poll")
    async def slow() -> AsyncIterator[int]:
        yield 1
        await asyncio.sleep(30)

    async def consume() -> None:
        async for _ in slow():
            pass

    async def main() -> None:
        task = asyncio.create_task(consume())
        await asyncio.sleep(0.005)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert outcomes(telemetry, "poll") == ["cancelled"]


# --- coroutines of plain functions


async def _work(symbol: str, seconds: float = 0.0) -> dict[str, str]:
    with tradespan.stage("inner"):
        await asyncio.sleep(seconds)
    return {"symbol": symbol}


@tradespan.risk()
def plain_async(symbol: str, seconds: float = 0.0) -> Any:
    """As a decorator makes it that wraps a coroutine function in a plain one."""
    return _work(symbol, seconds)


def test_a_coroutine_of_a_plain_function_is_part_of_its_call(telemetry: Any) -> None:
    """The stage lasts until it is awaited to the end, and what runs in it is nested."""

    async def main() -> None:
        assert await plain_async("A", 0.05) == {"symbol": "A"}
        assert tradespan.current_stage() is None

    asyncio.run(main())
    inner, outer = telemetry.spans
    assert inner.parent.span_id == outer.context.span_id
    assert outer.end_time - outer.start_time >= 50_000_000
    assert outcomes(telemetry) == ["ok"]


def test_it_is_a_coroutine_and_any_task_may_await_it(telemetry: Any) -> None:
    """Until then, and in the one who made it, its stage is not current."""

    async def main() -> None:
        waiting = plain_async("A")
        assert inspect.iscoroutine(waiting)
        assert waiting.__name__ == "_work"
        assert tradespan.current_stage() is None
        with tradespan.stage("mine") as mine:
            made = await asyncio.gather(waiting, asyncio.create_task(plain_async("B")))
            assert tradespan.current_stage() is mine
        assert made == [{"symbol": "A"}, {"symbol": "B"}]

    asyncio.run(main())
    assert outcomes(telemetry) == ["ok", "ok"]


def test_its_exceptions_and_its_cancellation(telemetry: Any) -> None:
    """They go on untouched, and are the outcome."""
    error = ValueError("x")

    async def fails() -> None:
        raise error

    @tradespan.risk()
    def failing() -> Any:
        return fails()

    async def main() -> None:
        with pytest.raises(ValueError, match="x") as caught:
            await failing()
        assert caught.value is error
        task = asyncio.create_task(plain_async("A", 30))
        await asyncio.sleep(0.005)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert outcomes(telemetry) == ["error", "cancelled"]


@pytest.mark.filterwarnings("ignore:coroutine '_work' was never awaited")
def test_a_coroutine_that_nobody_awaits_is_cancelled(telemetry: Any) -> None:
    """Dropped, or closed before its first step."""
    plain_async("A").close()
    plain_async("B")
    gc.collect()
    assert outcomes(telemetry) == ["cancelled", "cancelled"]


def test_another_awaitable_comes_back_as_it_is_and_is_said_once(
    telemetry: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """A task goes on by itself: only the making of it is the stage."""

    @tradespan.risk()
    def begin() -> Any:
        return asyncio.get_running_loop().create_task(_work("A"))

    async def main() -> None:
        task = begin()
        assert isinstance(task, asyncio.Task)
        assert outcomes(telemetry) == ["ok"]
        assert await task == await begin() == {"symbol": "A"}

    asyncio.run(main())
    said = [r.getMessage() for r in caplog.records if "gives back a Task" in r.getMessage()]
    assert len(said) == 1
    assert "begin gives back a Task: only the making of it is timed" in said[0]


# --- callables that are no function


@functools.lru_cache
def _plain_cached(a: int) -> list[int]:
    return [a]


cached: Any = tradespan.risk()(_plain_cached)


class Scaled:
    """A model that is called."""

    def __init__(self, by: int) -> None:
        self.by = by

    def __call__(self, a: int) -> int:
        """Scale."""
        return a * self.by


class Slow(Scaled):
    """One that takes its time."""

    async def __call__(self, a: int) -> int:  # type: ignore[override]
        """Scale, later."""
        await asyncio.sleep(0.02)
        return a * self.by


def test_a_cached_function_keeps_its_cache(telemetry: Any) -> None:
    """What hangs on it is there: it can be cleared, asked and read."""
    cached.cache_clear()
    assert cached(1) is cached(1)
    assert (cached.cache_info().hits, cached.cache_parameters()["maxsize"]) == (1, 128)
    assert str(inspect.signature(cached)) == "(a: 'int') -> 'list[int]'"
    assert outcomes(telemetry) == ["ok", "ok"]


def test_an_instance_is_what_it_was(telemetry: Any) -> None:
    """Its class, its state, which can be written too, and whether calling it is a coroutine."""
    model: Any = tradespan.risk()(Scaled(2))
    assert isinstance(model, Scaled)
    model.by = 3
    assert model(2) == 6
    slow: Any = tradespan.risk()(Slow(2))
    assert inspect.iscoroutinefunction(slow.__call__)
    assert not inspect.iscoroutinefunction(model.__call__)
    assert asyncio.run(slow(2)) == 4
    assert outcomes(telemetry) == ["ok", "ok"]
    assert telemetry.spans[1].end_time - telemetry.spans[1].start_time >= 20_000_000


def test_a_copy_and_a_pickle_are_of_what_is_called(telemetry: Any) -> None:
    """A model by its content, a cached function by its name."""
    model = tradespan.risk()(Scaled(2))
    for made in (pickle.loads(pickle.dumps(model)), copy.copy(model), copy.deepcopy(model)):
        assert (type(made), made.by) == (Scaled, 2)
    assert copy.deepcopy(cached) is copy.copy(cached) is _plain_cached


def test_in_a_class_it_binds_as_it_did(telemetry: Any) -> None:
    """A cached function and a method of C are methods, a builtin and an instance are none."""

    class Desk:
        total = tradespan.risk()(sum)
        text = tradespan.risk()(object.__str__)
        scale = tradespan.risk()(Scaled(2))

        @tradespan.risk()
        @functools.lru_cache  # noqa: B019 - as services do
        def me(self) -> Any:
            return self

    desk = Desk()
    assert (desk.total([1, 2]), desk.scale(3), desk.me(), Desk.me(desk)) == (3, 6, desk, desk)
    assert desk.text() == str(desk)
    assert desk.me.cache_info().hits == 1
    assert outcomes(telemetry) == ["ok"] * 5
