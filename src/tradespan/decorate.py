"""One decorator for functions, coroutines, generators, async generators and methods."""

from __future__ import annotations

import copy
import functools
import inspect
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator, Mapping
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar, cast

from tradespan.guard import guard

log = logging.getLogger("tradespan")
_SAY = guard("stage.awaitable")
F = TypeVar("F", bound=Callable[..., Any])


class Block(Protocol):
    """What can stand around each call: a stage or a timed call."""

    def fresh(self, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None) -> Self:
        """One for a single call, with its arguments."""

    def __enter__(self) -> Self:
        """Begin."""

    async def __aenter__(self) -> Self:
        """Begin, in a coroutine."""

    def returned(self, value: Any) -> None:
        """See what the call returned, before the end."""

    def end(self, error: BaseException | None = None) -> None:
        """End, once."""

    def pause(self) -> None:
        """Leave the context between two steps."""

    def resume(self) -> None:
        """Come back into the context."""


class Managed:
    """`with`, `async with` and decorator, for what has the parts of a block."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.end(error)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.end(error)

    def __call__(self, function: F) -> F:
        """Put one around every call of a function, coroutine, generator or method."""
        return decorate(self, function)

    def fresh(
        self,
        args: tuple[Any, ...] = (),  # noqa: ARG002 - a mapped block reads them
        kwargs: Mapping[str, Any] | None = None,  # noqa: ARG002
    ) -> Self:
        """One like this that has not begun, for one call of a decorated function."""
        return copy.copy(self)

    def returned(self, value: Any) -> None:
        """Nothing: what the function returns is the service's own."""

    def end(self, error: BaseException | None = None) -> None:
        """Nothing to end."""

    def pause(self) -> None:
        """Nothing stands in the context."""

    def resume(self) -> None:
        """Nothing stands in the context."""


def decorate(block: Block, function: F) -> F:
    """The function with a fresh block around each call; signature and kind stay as they are.

    A coroutine that a plain function gives back is part of its call.
    """
    kinds = (
        (inspect.isasyncgenfunction, _async_generator),
        (inspect.isgeneratorfunction, _generator),
        (inspect.iscoroutinefunction, _coroutine),
    )
    shown = (function, getattr(function, "__call__", None))  # noqa: B004 - an instance's may be async
    around = next((make for is_it, make in kinds if any(map(is_it, shown))), _function)
    return cast("F", in_place_of(function, around(block, function)))


def in_place_of(function: Callable[..., Any], wrapper: Callable[..., Any]) -> Callable[..., Any]:
    """The wrapper with the face of a function, or with all of a callable that is none."""
    if inspect.isfunction(function):
        return functools.wraps(function)(wrapper)
    from tradespan.standin import StandIn  # needs wrapt, which most services need not load

    return StandIn(function, functools.wraps(function, updated=())(wrapper))


def _function(block: Block, function: Callable[..., Any]) -> Callable[..., Any]:
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        one = block.fresh(args, kwargs).__enter__()
        try:
            result = function(*args, **kwargs)
        except BaseException as error:
            one.end(error)
            raise
        if inspect.iscoroutine(result):
            return _later(one, result)
        if hasattr(type(result), "__await__"):
            with _SAY:
                name = getattr(function, "__qualname__", type(function).__qualname__)
                _say_once(f"{function.__module__}.{name}", type(result).__name__)
        one.returned(result)
        one.end()
        return result

    return wrapper


def _later(block: Block, coroutine: Coroutine[Any, Any, Any]) -> Coroutine[Any, Any, Any]:
    """A coroutine to be awaited instead, whose end is the block's."""
    block.pause()
    waiting = _awaited(_Waiting(block), coroutine)
    for name in ("__name__", "__qualname__"):
        setattr(waiting, name, getattr(coroutine, name))
    return waiting


class _Waiting:
    """A block that waits for the first step; dropped before it, its work was cancelled."""

    def __init__(self, block: Block) -> None:
        self.block, self.begun = block, False

    def __del__(self) -> None:
        if not self.begun:
            self.block.end(GeneratorExit())


async def _awaited(waiting: _Waiting, coroutine: Coroutine[Any, Any, Any]) -> Any:
    waiting.begun = True
    waiting.block.resume()
    return await _ended(waiting.block, lambda: coroutine)


@functools.lru_cache(maxsize=1000)
def _say_once(function: str, kind: str) -> None:
    log.warning(
        "%s gives back a %s: only the making of it is timed; name the function that does the work",
        function, kind,
    )  # fmt: skip


def _coroutine(block: Block, function: Callable[..., Any]) -> Callable[..., Any]:
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        return await inside(block.fresh(args, kwargs), function, *args, **kwargs)

    return wrapper


async def inside(block: Block, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Await one call of a coroutine function inside a block that has not begun."""
    await block.__aenter__()
    return await _ended(block, functools.partial(function, *args, **kwargs))


async def _ended(block: Block, work: Callable[[], Awaitable[Any]]) -> Any:
    """Await work inside a block that has begun, and end it."""
    try:
        result = await work()
    except BaseException as error:
        block.end(error)
        raise
    block.returned(result)
    block.end()
    return result


def _generator(block: Block, function: Callable[..., Any]) -> Callable[..., Any]:
    """Attached in each step only: between two steps the consumer's own context stands.

    To stay a generator function, it takes note of wrong arguments at its first step.
    """

    def wrapper(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        inner = function(*args, **kwargs)  # runs nothing yet
        one = block.fresh(args, kwargs).__enter__()
        one.pause()
        step = functools.partial(inner.send, None)
        try:
            while True:
                try:
                    one.resume()
                    item = step()
                finally:
                    one.pause()
                try:
                    step = functools.partial(inner.send, (yield item))
                except GeneratorExit:
                    one.resume()  # its clean-up is part of the stage
                    inner.close()
                    one.pause()
                    raise
                except BaseException as error:
                    step = functools.partial(inner.throw, error)
        except StopIteration as stop:
            one.returned(stop.value)
            one.end()
            return stop.value
        except BaseException as error:
            one.end(error)
            raise

    return wrapper


def _async_generator(block: Block, function: Callable[..., Any]) -> Callable[..., Any]:
    async def wrapper(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        inner = function(*args, **kwargs)
        one = await block.fresh(args, kwargs).__aenter__()
        one.pause()
        step = functools.partial(inner.asend, None)
        try:
            while True:
                try:
                    one.resume()
                    item = await step()
                finally:
                    one.pause()
                try:
                    step = functools.partial(inner.asend, (yield item))
                except GeneratorExit:
                    one.resume()
                    await inner.aclose()
                    one.pause()
                    raise
                except BaseException as error:
                    step = functools.partial(inner.athrow, error)
        except StopAsyncIteration:
            one.end()
        except BaseException as error:
            one.end(error)
            raise

    return wrapper
