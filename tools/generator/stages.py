"""Writes semconv/stages.py."""

from __future__ import annotations

from typing import Any

from generator.model import Registry
from generator.source import FUTURE, constant, header, text, words


def module(registry: Registry) -> str:
    """Source of semconv/stages.py."""
    given = registry.stages
    out = [header("The typed stages and what they feed."), FUTURE]
    out += ["from typing import Final\n\n", "from tradespan.semconv import metrics\n"]
    out.append("from tradespan.semconv.model import Feed, StageDefinition\n\n")
    out.append("LABELS: Final = {\n")
    out += [f'    "{k}": {v!r},\n'.replace("'", '"') for k, v in given["labels"].items()]
    out.append('}\n"""What an outcome means in a label, unless a stage says more."""\n')
    out.append("\nCOMMON_FEEDS: Final = (\n")
    out += [f"    {_feed(f)},\n" for f in given["feeds"]]
    out.append(')\n"""Feeds of every stage, the user\'s own included."""\n')
    out.append("\nSTAGES: Final[dict[str, StageDefinition]] = {\n")
    out += [_stage(name, stage, given["labels"]) for name, stage in given["stages"].items()]
    out.append('}\n"""Stages by name; a stage of the user\'s own has the defaults."""\n')
    return "".join(out)


def _stage(name: str, stage: dict[str, Any], labels: dict[str, Any]) -> str:
    merged = {**labels, **stage.get("labels", {})}
    ends = f"frozenset({words(stage['ends'])})" if stage["ends"] else "frozenset()"
    out = [f"    {text(name)}: StageDefinition(\n        name={text(name)},\n"]
    out.append(f"        begins={bool(stage.get('begins'))},\n        ends={ends},\n")
    out.append(f"        labels={merged!r},\n".replace("'", '"'))
    out.append("        feeds=(\n            *COMMON_FEEDS,\n")
    out += [f"            {_feed(f)},\n" for f in stage["feeds"]]
    out.append("        ),\n    ),\n")
    return "".join(out)


def _feed(feed: dict[str, Any]) -> str:
    outcomes = f", frozenset({words(feed['outcomes'])})" if "outcomes" in feed else ""
    return f'Feed(metrics.{constant(feed["metric"])}, "{feed["from"]}"{outcomes})'
