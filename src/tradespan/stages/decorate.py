"""One decorator for functions, coroutines, generators, async generators and methods."""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar, cast

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
    """The function with a fresh block around each call; signature and kind stay as they are."""
    if inspect.isasyncgenfunction(function):
        wrapper: Any = _async_generator(block, function)
    elif inspect.isgeneratorfunction(function):
        wrapper = _generator(block, function)
    elif inspect.iscoroutinefunction(function):
        wrapper = _coroutine(block, function)
    else:
        wrapper = _function(block, function)
    return cast("F", functools.wraps(function)(wrapper))


def _function(block: Block, function: Callable[..., Any]) -> Callable[..., Any]:
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        one = block.fresh(args, kwargs).__enter__()
        try:
            result = function(*args, **kwargs)
        except BaseException as error:
            one.end(error)
            raise
        one.returned(result)
        one.end()
        return result

    return wrapper


def _coroutine(block: Block, function: Callable[..., Any]) -> Callable[..., Any]:
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        return await inside(block.fresh(args, kwargs), function, *args, **kwargs)

    return wrapper


async def inside(block: Block, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Await one call of a coroutine function inside a block that has not begun."""
    await block.__aenter__()
    try:
        result = await function(*args, **kwargs)
    except BaseException as error:
        block.end(error)
        raise
    block.returned(result)
    block.end()
    return result


def _generator(block: Block, function: Callable[..., Any]) -> Callable[..., Any]:
    """Attached in each step only: between two steps the consumer's own context stands."""

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
