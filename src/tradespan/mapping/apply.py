"""From the file to the service: every target of this service gets what stands around its calls."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import wrapt

from tradespan.decorate import Block, decorate
from tradespan.guard import guard
from tradespan.mapping import factories, targets
from tradespan.mapping.blocks import Around
from tradespan.mapping.paths import signature
from tradespan.mapping.record import Entry, Record
from tradespan.mapping.targets import Target, Unwrappable

_IMPORTED = guard("mapping.imported")
Make = Callable[[Around], Block]


class Wrapping:
    """The targets of one service, each wrapped as soon as it is there.

    Arguments:
        record: is told what becomes of each.
    """

    def __init__(self, record: Record) -> None:
        self._record = record
        self._by_module: dict[str, list[tuple[Target, Entry, targets.Wrap]]] = {}

    def plan(self, place: str, wanted: list[Target], make: Make, *, made: bool = False) -> None:
        """Put a block around every call of these targets.

        Arguments:
            place: in the file.
            wanted: the targets.
            make: the block, for what is the same for every call.
            made: whether the targets are factories, and the block is around what they make.
        """
        for target in wanted:
            entry = self._record.add(place, target.text)
            wrap = _around_made if made or target.made else _around
            planned = (target, entry, wrap(target, entry, make))
            self._by_module.setdefault(target.module, []).append(planned)

    def install(self) -> None:
        """Wrap what is imported already, and the rest as it is imported or defined."""
        for module in self._by_module:
            if module == "__main__":
                self._watch_the_script()
            else:
                wrapt.register_post_import_hook(self._imported, module)

    def _imported(self, module: Any) -> None:
        for target, entry, wrap in self._by_module[module.__name__]:
            _replace(target, entry, wrap, module)

    def _watch_the_script(self) -> None:
        from tradespan.mapping import late  # only where a script is mapped

        waiting = self._by_module["__main__"]
        for _, entry, _ in waiting:
            entry.why = "the script has not defined it yet"

        def found(name: str, script: str) -> None:
            for target, entry, wrap in waiting:
                if target.names[0] == name:
                    _replace(target, entry, wrap, sys.modules[script])

        def gave_up(names: set[str]) -> None:
            for target, entry, _ in waiting:
                if target.names[0] in names:
                    entry.state = "not wrapped"
                    entry.why = f"the script has no {target.names[0]!r}"

        late.Definitions({t.names[0] for t, _, _ in waiting}, found, gave_up).watch()


def _around(_: Target, entry: Entry, make: Make) -> targets.Wrap:
    def wrap(function: Callable[..., Any], bound: bool) -> Callable[..., Any]:
        return decorate(make(Around(entry.place, entry, signature(function), bound)), function)

    return wrap


def _around_made(target: Target, entry: Entry, make: Make) -> targets.Wrap:
    inner = _around(target, entry, make)

    def wrap(factory: Callable[..., Any], _: bool) -> Callable[..., Any]:
        return factories.around(factory, target.made, inner, entry.place)

    return wrap


def _replace(target: Target, entry: Entry, wrap: targets.Wrap, module: Any) -> None:
    with _IMPORTED:
        try:
            notes = targets.replace(target, module, wrap, f"{entry.place} {target.text}")
        except Unwrappable as reason:
            entry.state, entry.why = "not wrapped", str(reason)
        else:
            entry.state, entry.why = "wrapped", "; ".join(notes)
