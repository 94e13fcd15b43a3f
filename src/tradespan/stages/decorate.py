"""One decorator for functions, coroutines, generators, async generators and methods."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Generator
from typing import Any, Protocol, Self, TypeVar, cast

F = TypeVar("F", bound=Callable[..., Any])


class Block(Protocol):
    """What can stand around each call: a stage or a timed call."""

    def fresh(self) -> Self:
        """One for a single call."""

    def __enter__(self) -> Self:
        """Begin."""

    def end(self, error: BaseException | None = None) -> None:
        """End, once."""

    def pause(self) -> None:
        """Leave the context between two steps."""

    def resume(self) -> None:
        """Come back into the context."""


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
        one = block.fresh().__enter__()
        try:
            result = function(*args, **kwargs)
        except BaseException as error:
            one.end(error)
            raise
        one.end()
        return result

    return wrapper


def _coroutine(block: Block, function: Callable[..., Any]) -> Callable[..., Any]:
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        one = block.fresh().__enter__()
        try:
            result = await function(*args, **kwargs)
        except BaseException as error:
            one.end(error)
            raise
        one.end()
        return result

    return wrapper


def _generator(block: Block, function: Callable[..., Any]) -> Callable[..., Any]:
    """Attached in each step only: between two steps the consumer's own context stands."""

    def wrapper(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        inner = function(*args, **kwargs)  # runs nothing yet
        one = block.fresh().__enter__()
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
            one.end()
            return stop.value
        except BaseException as error:
            one.end(error)
            raise

    return wrapper


def _async_generator(block: Block, function: Callable[..., Any]) -> Callable[..., Any]:
    async def wrapper(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        inner = function(*args, **kwargs)
        one = block.fresh().__enter__()
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
