"""In the place of a callable that is no function: all of it as it was, but for its calls."""

from __future__ import annotations

import copy
from collections.abc import Callable
from types import MethodType
from typing import Any

import wrapt


class StandIn(wrapt.ObjectProxy):  # type: ignore[type-arg]
    """Stands in for a cached function, a task, a model: `cache_clear`, `delay` and `fit` stay.

    It binds to an instance as the other does. Pickled or copied it is the other.

    Arguments:
        wrapped: what it stands in for.
        call: is called instead.
    """

    __tradespan__: Any = None  # what is written there is the stand-in's own
    _self_call: Callable[..., Any]

    def __init__(self, wrapped: Callable[..., Any], call: Callable[..., Any]) -> None:
        super().__init__(wrapped)
        self._self_call = call

    @property
    def __call__(self) -> Callable[..., Any]:
        """What is called: a coroutine function where the other's `__call__` is one."""
        return self._self_call

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        """As a method; one that binds in a way of its own is left to it, unseen."""
        other = self.__wrapped__
        bind = getattr(type(other), "__get__", None)
        if bind is None:
            return self
        bound = bind(other, instance, owner)
        if bound is other:
            return self
        of_c = other if getattr(bound, "__self__", None) is instance else None
        return MethodType(self, instance) if getattr(bound, "__func__", of_c) is other else bound

    def __reduce_ex__(self, protocol: Any) -> Any:
        """As the other: by its name, or its content."""
        return self.__wrapped__.__reduce_ex__(protocol)

    def __copy__(self) -> Any:
        """The other's."""
        return copy.copy(self.__wrapped__)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        """The other's."""
        return copy.deepcopy(self.__wrapped__, memo)
