"""Who holds a function as it was before it was wrapped, and so calls it unseen.

At the start only references are counted, which costs nothing. Where there is one too many, the
places that hold it are looked for later, in the thread that tells the summary.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from types import FunctionType, ModuleType
from typing import Any, Final

from tradespan.guard import guard
from tradespan.mapping.record import Entry

_NAME = guard("mapping.holders")
_MOST = 1000  # entries of a list or table that are looked through
_SOMETHING: Final = (
    "something took it before it was wrapped, as a decorator above it or a table of functions "
    "does, and calls it unseen"
)
_probe = {"alone": lambda: None}
_ALONE: Final = sys.getrefcount(_probe["alone"])
_taken: dict[str, Any] = {}
"""The functions that something else holds, by the target's key."""


def others(owner: Any, name: str) -> int:
    """How many hold a module's function besides the module; 0 where that cannot be told."""
    names = vars(owner) if isinstance(owner, ModuleType) else {}
    if type(names.get(name)) is not FunctionType:
        return 0
    return sys.getrefcount(names[name]) - _ALONE


def said(home: ModuleType, name: str, before: Any, others: int, key: str) -> list[str]:
    """What to say of a module's function that has just been replaced.

    Arguments:
        home: the module.
        name: of the function there.
        before: the function as it was.
        others: how many hold it, as counted before it was replaced.
        key: of the target, by which `name_them` finds it again.
    """
    if not others and isinstance(before, FunctionType):
        return []
    modules = sorted(
        other
        for other, module in list(sys.modules.items())
        if module is not home and isinstance(module, ModuleType)
        and module.__dict__.get(name) is before
    )  # fmt: skip
    lines = []
    if modules:
        lines.append(f"already imported by name in {', '.join(modules)}, which calls it unseen")
    if others > len(modules):
        _taken[key] = before
        lines.append(_SOMETHING)
    return lines


def name_them(entries: Iterable[Entry]) -> None:
    """Name in these targets' notes who holds their function, where a module shows it. Never raises.

    Looks through every module, for some 10 ms: it is for a thread of its own.
    """
    with _NAME:
        if not _taken:
            return
        wanted = {id(function): key for key, function in _taken.items()}
        found: dict[str, list[str]] = {}
        for place, value in _everything():
            if id(value) in wanted:
                found.setdefault(wanted[id(value)], []).append(place)
        for entry in entries:
            places = found.get(f"{entry.place} {entry.target}")
            if places:
                named = f"{', '.join(places)} took it before it was wrapped, and calls it unseen"
                entry.why = entry.why.replace(_SOMETHING, named)


def _everything() -> Iterator[tuple[str, Any]]:
    """What the modules have under a name, and what is in their lists and tables."""
    for other, module in list(sys.modules.items()):
        if not isinstance(module, ModuleType) or other.startswith("tradespan."):
            continue
        for name, value in list(module.__dict__.items()):
            yield f"{other}.{name}", value
            for item in _inside(value):
                yield f"{other}.{name}", item


def _inside(value: Any) -> list[Any]:
    kind = type(value)
    if kind not in (list, tuple, set, dict) or len(value) > _MOST:
        return []
    return list(value.values() if kind is dict else value)
