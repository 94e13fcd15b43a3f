"""Paths that take an argument, held against the parameters of the function."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

from tradespan.cli.check.faults import Page, Place, near
from tradespan.mapping.config import Model
from tradespan.mapping.paths import Path
from tradespan.mapping.rules import Rule
from tradespan.mapping.targets import Target


def parameters_of(thing: Any) -> frozenset[str] | None:
    """Names of the parameters, or None where a name of any kind may come."""
    try:
        parameters = inspect.signature(getattr(thing, "__func__", thing)).parameters
    except (TypeError, ValueError):
        return None
    if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values()):
        return None
    return frozenset(parameters)


def check_arguments(
    part: Model, place: Place, target: Target, parameters: frozenset[str], page: Page
) -> None:
    """Paths that take an argument which the function does not have.

    Arguments:
        part: of the file: a stage, a send, a value or a count.
        place: of the target in it.
    """
    for where, path in _paths(part, place[:-1]):
        first = str(path.steps[0]) if path.source == "args" and path.steps else ""
        if first and not first.isdigit() and first not in parameters:
            page.warning(
                where,
                f"{path.text}: {target.text} has no parameter {first!r}; it has "
                f"{', '.join(sorted(parameters)) or 'none'}",
                near(first, parameters, "args."),
            )


def _paths(thing: Any, place: Place) -> Iterator[tuple[Place, Path]]:
    """Every path in a part of the file, those of its rules too, and where it stands."""
    if isinstance(thing, Path | Rule):
        yield place, thing if isinstance(thing, Path) else thing.path
    elif isinstance(thing, Model):
        for name in type(thing).model_fields:
            yield from _paths(getattr(thing, name), (*place, name))
    elif isinstance(thing, dict):
        for name, inner in thing.items():
            yield from _paths(inner, (*place, name))
    elif isinstance(thing, list):
        for inner in thing:
            yield from _paths(inner, place)
