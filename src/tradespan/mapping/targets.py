"""Targets: `module:function`, `Class.method`, `Class+.method`, `factory().method`, `__main__:name`.

A target is found where it is defined and replaced there. What cannot be replaced is told, never
forced: the service runs on.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable
from types import ModuleType
from typing import Any, Final, NamedTuple

from tradespan.guard import guard
from tradespan.mapping import holders
from tradespan.mapping.notes import say_once

_LATE = guard("mapping.subclass")
_TARGET: Final = re.compile(
    r"^(?P<module>[A-Za-z_][\w]*(?:\.[A-Za-z_]\w*)*):"
    r"(?P<owner>(?:[A-Za-z_]\w*\.)*[A-Za-z_]\w*)(?:(?P<mark>\+|\(\))(?:\.(?P<method>[A-Za-z_]\w*))?)?\Z"
)
Wrap = Callable[[Callable[..., Any], bool], Callable[..., Any]]
"""Makes the wrapper of a function; told whether its first argument is the instance or class."""


class Target(NamedTuple):
    """A parsed target.

    Attributes:
        text: as written.
        module: dotted name; `__main__` is the script.
        names: attributes from the module on, the last one is the function.
        subclasses: whether the method of every subclass is meant too.
        made: the method of what the function makes, in `factory().method`.
    """

    text: str
    module: str
    names: tuple[str, ...]
    subclasses: bool = False
    made: str | None = None


class _Mark(NamedTuple):
    whose: int
    keys: frozenset[str]


class Unwrappable(Exception):  # noqa: N818 - a reason, not a fault
    """Why a target cannot be wrapped, in words for its user."""


def parse(text: str) -> Target:
    """Parse a target.

    Raises:
        ValueError: what is wrong, and how a target looks.
    """
    found = _TARGET.match(text.strip())
    if found is None or (found["mark"] == "+" and not found["method"]):
        raise ValueError(
            f"{text!r} is no target; write module:function, module:Class.method, "
            "module:Class+.method for every subclass, or module:factory().method"
        )
    names, method = tuple(found["owner"].split(".")), found["method"]
    if found["mark"] == "+":
        return Target(text.strip(), found["module"], (*names, method), subclasses=True)
    return Target(text.strip(), found["module"], names, made=method)


def replace(target: Target, module: ModuleType, wrap: Wrap, key: str = "") -> list[str]:
    """Put a wrapper in the place of what a target names.

    Arguments:
        module: the imported module.
        wrap: makes the wrapper.
        key: what it is wrapped for; one function may be wrapped for several things, each once.

    Returns:
        What should be said: who holds the function as it was, which subclass has no such method.

    Raises:
        Unwrappable: there is no such thing, or it lets nothing be put in its place.
    """
    owner = _owner(target, module)
    name = target.names[-1]
    if inspect.isclass(owner) and target.subclasses:
        return _every_subclass(owner, name, wrap, key)
    others = holders.others(owner, name)
    before = _stored(owner, name)
    if before is None:
        raise _absent(owner, name)
    _refuse_abstract(owner, name, before)
    _put(owner, name, _wrapped(owner, before, wrap, key))
    return [] if owner is not module else holders.said(module, name, before, others, key)


def _owner(target: Target, module: ModuleType) -> Any:
    owner: Any = module
    for name in target.names[:-1]:
        if not hasattr(owner, name):
            raise _absent(owner, name)
        owner = getattr(owner, name)
    return owner


def _absent(owner: Any, name: str) -> Unwrappable:
    why = f"{_said(owner)} has no {name!r}"
    if inspect.isfunction(owner):
        why += f"; for what it makes write returns: {owner.__module__}:{owner.__qualname__}"
    return Unwrappable(why)


def _stored(owner: Any, name: str) -> Any:
    """The attribute as it is stored: a staticmethod stays one; an instance's method is bound."""
    if inspect.isclass(owner) or inspect.ismodule(owner):
        return inspect.getattr_static(owner, name, None)
    return getattr(owner, name, None)


def _wrapped(owner: Any, before: Any, wrap: Wrap, key: str) -> Any:
    if key in marks(before):
        raise Unwrappable("it is wrapped already")
    if isinstance(before, staticmethod):
        return staticmethod(mark(wrap(before.__func__, False), key, before))
    if isinstance(before, classmethod):
        return classmethod(mark(wrap(before.__func__, True), key, before))
    if isinstance(before, functools.partialmethod | property) or not callable(before):
        raise Unwrappable(f"a {type(before).__name__} is no function")
    if inspect.isclass(before):
        raise Unwrappable("a class is no function; name its method, or use returns: of a factory")
    if inspect.isclass(owner) and not hasattr(type(before), "__get__"):  # a builtin, a partial
        return staticmethod(mark(wrap(before, False), key, before))
    return mark(wrap(before, inspect.isclass(owner)), key, before)


def marks(function: Any) -> frozenset[str]:
    """What a function is wrapped for already; a mark that functools.wraps copied is none."""
    inner = function.__func__ if isinstance(function, staticmethod | classmethod) else function
    found = getattr(inner, "__tradespan__", None)
    return found.keys if isinstance(found, _Mark) and found.whose == id(inner) else frozenset()


def mark(wrapper: Callable[..., Any], key: str, before: Any) -> Callable[..., Any]:
    """Note on a wrapper what it is for, and what the one before it was for."""
    wrapper.__tradespan__ = _Mark(id(wrapper), marks(before) | {key})  # type: ignore[attr-defined]
    return wrapper


def _put(owner: Any, name: str, value: Any) -> None:
    try:
        setattr(owner, name, value)
    except (AttributeError, TypeError):
        raise Unwrappable(
            f"{_said(owner)} is an immutable type of C or Cython; map a function that calls it"
        ) from None


def _refuse_abstract(owner: Any, name: str, before: Any) -> None:
    protocol = getattr(owner, "_is_protocol", False)
    if protocol or getattr(before, "__isabstractmethod__", False):
        kind = "a protocol's" if protocol else "an abstract"
        raise Unwrappable(
            f"{kind} method is never called itself; write {owner.__name__}+.{name} for its "
            "subclasses"
        )


def _every_subclass(base: Any, name: str, wrap: Wrap, key: str) -> list[str]:
    """Wrap the method in a class and in all its subclasses, those to come included."""
    tree = _tree(base)
    if _stored(base, name) is None and len(tree) == 1:
        raise Unwrappable(f"neither {_said(base)} nor a subclass has {name!r}")
    refused = [why for cls in tree if (why := _wrap_own(cls, name, wrap, key))]
    _wrap_those_to_come(base, name, wrap, key)
    if refused and not any(key in marks(cls.__dict__.get(name)) for cls in tree):
        raise Unwrappable("; ".join(refused))
    return refused


def _wrap_those_to_come(base: Any, name: str, wrap: Wrap, key: str) -> None:
    before = base.__dict__.get("__init_subclass__")
    original = before.__func__ if isinstance(before, classmethod) else None

    def init_subclass(cls: Any, /, **kwargs: Any) -> None:
        if original is not None:
            original(cls, **kwargs)
        else:
            super(base, cls).__init_subclass__(**kwargs)
        with _LATE:
            if why := _wrap_own(cls, name, wrap, key):
                say_once(key, why)

    _put(base, "__init_subclass__", classmethod(init_subclass))


def _wrap_own(cls: type, name: str, wrap: Wrap, key: str) -> str:
    """Wrap what a class itself defines, the abstract ones are left; says why it could not."""
    own = cls.__dict__.get(name)
    if own is None or getattr(own, "__isabstractmethod__", False):
        return ""
    if key in marks(own) or getattr(cls, "_is_protocol", False):
        return ""
    try:
        _put(cls, name, _wrapped(cls, own, wrap, key))
    except Unwrappable as reason:
        return f"{_said(cls)}.{name}: {reason}"
    return ""


def _tree(base: type) -> list[type]:
    found, waiting = [], [base]
    while waiting:
        cls = waiting.pop()
        if cls not in found:
            found.append(cls)
            waiting.extend(type.__subclasses__(cls))
    return found


def _said(owner: Any) -> str:
    if isinstance(owner, ModuleType):
        return f"module {owner.__name__}"
    return f"{getattr(owner, '__qualname__', type(owner).__name__)}"
