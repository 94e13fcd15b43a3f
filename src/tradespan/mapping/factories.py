"""What a factory gives back: the stage is in the function or method that it makes."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import Any

from tradespan.decorate import in_place_of
from tradespan.guard import guard
from tradespan.mapping.notes import say_once
from tradespan.mapping.targets import mark, marks

Around = Callable[[Callable[..., Any], bool], Callable[..., Any]]
_WRAP = guard("mapping.factory")


def around(
    factory: Callable[..., Any], method: str | None, wrap: Around, place: str
) -> Callable[..., Any]:
    """The factory, with a stage around what it makes.

    Arguments:
        factory: function, coroutine or class method that makes a function or an object.
        method: of the object; None where the factory makes the function itself.
        wrap: makes the wrapper of a function; told whether its first argument is the instance.
        place: in the file, for messages; what is made twice, a singleton, is wrapped once for it.
    """

    async def awaited(made: Awaitable[Any]) -> Any:
        return _wrapped(await made, method, wrap, place)

    async def amake(*args: Any, **kwargs: Any) -> Any:
        return await awaited(factory(*args, **kwargs))

    def make(*args: Any, **kwargs: Any) -> Any:
        made = factory(*args, **kwargs)
        return awaited(made) if inspect.iscoroutine(made) else _wrapped(made, method, wrap, place)

    return in_place_of(factory, amake if inspect.iscoroutinefunction(factory) else make)


def _wrapped(made: Any, method: str | None, wrap: Around, place: str) -> Any:
    """The product with its stage; one that cannot have it is said once and left as it is."""
    with _WRAP:
        if method is None:
            if inspect.isroutine(made) or isinstance(made, functools.partial):
                return made if place in marks(made) else mark(wrap(made, False), place, made)
            say_once(
                place,
                f"makes a {type(made).__name__}, not a function; name its method: factory().method",
            )
            return made
        function = getattr(made, method, None)
        if not callable(function):
            say_once(place, f"makes a {type(made).__name__} without a method {method!r}")
            return made
        if place in marks(function):
            return made
        try:
            setattr(made, method, mark(wrap(function, False), place, function))
        except (AttributeError, TypeError, ValueError):
            say_once(place, f"makes a {type(made).__name__} that lets nothing be set on it")
    return made
