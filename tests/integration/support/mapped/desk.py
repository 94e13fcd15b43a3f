"""The functions of a service, of every kind; nothing here knows of telemetry."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any


def logged(function: Callable[..., Any]) -> Callable[..., Any]:
    """A decorator of the service's own."""

    @functools.wraps(function)
    def inside(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    inside.seen_by = "logged"  # type: ignore[attr-defined]
    return inside


def twice(function: Callable[..., Any]) -> Callable[..., Any]:
    """Another one around it."""

    @functools.wraps(function)
    def inside(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return inside


class Order:
    """An order, which is sent through pickle."""

    def __init__(self, symbol: str, size: float = 1.0) -> None:
        self.symbol, self.size = symbol, size

    def check(self, limit: float, *, strict: bool = False) -> bool:
        """Whether it keeps the limit."""
        return self.size <= limit and not strict

    @staticmethod
    def fee(size: float) -> float:
        """Of a size."""
        return size / 100

    @classmethod
    def of(cls, text: str) -> Order:
        """From its text."""
        return cls(text)


def plain(symbol: str, /, size: float = 1.0, *rest: int, venue: str = "x", **more: Any) -> str:
    """A function with every kind of parameter."""
    return f"{symbol} {size} {rest} {venue} {sorted(more)}"


async def coroutine(symbol: str) -> str:
    """A coroutine function."""
    await asyncio.sleep(0)
    return symbol


def generator(count: int) -> Iterator[int]:
    """A generator function."""
    yield from range(count)


async def async_generator(count: int) -> AsyncIterator[int]:
    """An async generator function."""
    for number in range(count):
        yield number


@twice
@logged
def chained(symbol: str) -> str:
    """A function in a chain of wrappers."""
    return symbol
