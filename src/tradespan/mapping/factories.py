"""What a factory gives back: the stage is in the function or method that it makes."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from tradespan.guard import guard
from tradespan.mapping.notes import say_once

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
        place: in the file, for messages.
    """
    if inspect.iscoroutinefunction(factory):

        @functools.wraps(factory)
        async def amake(*args: Any, **kwargs: Any) -> Any:
            return _wrapped(await factory(*args, **kwargs), method, wrap, place)

        return amake

    @functools.wraps(factory)
    def make(*args: Any, **kwargs: Any) -> Any:
        return _wrapped(factory(*args, **kwargs), method, wrap, place)

    return make


def _wrapped(made: Any, method: str | None, wrap: Around, place: str) -> Any:
    """The product with its stage; one that cannot have it is said once and left as it is."""
    with _WRAP:
        if method is None:
            if inspect.isroutine(made) or isinstance(made, functools.partial):
                return wrap(made, False)
            say_once(
                place,
                f"makes a {type(made).__name__}, not a function; name its method: factory().method",
            )
            return made
        function = getattr(made, method, None)
        if not callable(function):
            say_once(place, f"makes a {type(made).__name__} without a method {method!r}")
            return made
        try:
            setattr(made, method, wrap(function, False))
        except (AttributeError, TypeError, ValueError):
            say_once(place, f"makes a {type(made).__name__} that lets nothing be set on it")
    return made
