"""Paths that take an argument, held against the parameters of the function."""

from __future__ import annotations

import inspect
from typing import Any

from tradespan.cli.check.faults import Page, Place, near
from tradespan.mapping.config import Stage
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
    stage: Stage, place: Place, target: Target, parameters: frozenset[str], page: Page
) -> None:
    """Paths that take an argument which the function does not have."""
    at = place[:-1]
    wanted = [((*at, "set", n), p) for n, p in stage.set.items()]
    wanted += [((*at, "receive", n), p) for n, p in stage.receive.items()]
    if stage.begins is not None and stage.begins.event_time is not None:
        wanted.append(((*at, "begins", "event_time"), stage.begins.event_time))
    wanted += [((*at, "outcome", o), r.path) for o, rules in stage.outcome.items() for r in rules]
    for where, path in wanted:
        first = str(path.steps[0]) if path.source == "args" and path.steps else ""
        if first and not first.isdigit() and first not in parameters:
            page.warning(
                where,
                f"{path.text}: {target.text} has no parameter {first!r}; it has "
                f"{', '.join(sorted(parameters)) or 'none'}",
                near(first, parameters, "args."),
            )
