"""Stages, their values and their words, held against the pipeline and the catalogue."""

from __future__ import annotations

from tradespan.cli.check.faults import Page, Place, near
from tradespan.mapping.config import Estate, Stage
from tradespan.semconv.attributes import ENUMS, SPAN_VALUES
from tradespan.semconv.metrics import METRICS
from tradespan.semconv.stages import STAGES

_WORDS = frozenset(
    {label for metric in METRICS for label in metric.attributes}
    | {feed.source for stage in STAGES.values() for feed in stage.feeds}
    | set(SPAN_VALUES)
    | {"signal_id", "attempt", "reason"}
)


def check_stages(estate: Estate, page: Page) -> None:
    """Names that nobody knows, budgets for nobody, and a pipeline without beginning or end."""
    mapped: dict[str, list[Stage]] = {}
    for service, parts in estate.services.items():
        for name, stage in parts.stages.items():
            mapped.setdefault(name, []).append(stage)
            place = ("services", service, "stages", name)
            _check_name(name, stage, estate, place, page)
            _check_values(stage, place, page)
            _check_paths(stage, place, page)
    for name in estate.pipeline.stages:
        if name not in mapped and estate.services:
            page.warning(
                ("pipeline", "stages", name),
                "has a budget, and no service maps it",
                near(name, mapped),
            )
    if mapped:
        _check_ends(mapped, page)


def _check_name(name: str, stage: Stage, estate: Estate, place: Place, page: Page) -> None:
    declared = estate.pipeline.stages
    if declared and name not in declared:
        say = page.note if name in STAGES or stage.budget is not None else page.warning
        meant = declared if name in STAGES else {*declared, *STAGES}
        say(
            place,
            f"{name!r} is none of the pipeline's stages ({', '.join(declared)})",
            near(name, meant) or "add it to pipeline.stages with its budget",
        )
    elif not declared and name not in STAGES:
        page.note(
            place,
            f"{name!r} is a stage of your own: no metric of the catalogue counts it by name",
            near(name, STAGES),
        )


def _check_values(stage: Stage, place: Place, page: Page) -> None:
    for key in stage.set:
        if key not in _WORDS:
            page.note(
                (*place, "set", key),
                f"{key!r} is known to no metric; it stands on the span",
                near(key, _WORDS),
            )
    for key, words in stage.map.items():
        if key not in stage.set:
            page.warning((*place, "map", key), f"set gives no {key!r}, so nothing is mapped")
        allowed = ENUMS.get(key)
        for theirs, ours in words.items():
            if allowed and ours not in allowed:
                page.warning(
                    (*place, "map", key, theirs),
                    f"{ours!r} is counted as other; {key} is one of {', '.join(allowed)}",
                    near(ours, allowed),
                )


def _check_paths(stage: Stage, place: Place, page: Page) -> None:
    """Paths that lead nowhere, whatever the service does."""
    begins = stage.begins.event_time if stage.begins else None
    if begins is not None and not begins.before:
        page.error(
            (*place, "begins", "event_time"),
            f"{begins.text} is known after the call only, when the journey has begun",
            "take it from args, self or env",
        )
    methods = any(len(target.names) > 1 for target in stage.run) or stage.returns
    if not methods:
        for key, path in stage.set.items():
            if path.source == "self":
                page.error(
                    (*place, "set", key),
                    f"{path.text}: a function has no self",
                    "args.NAME, or name a method: module:Class.method",
                )


def _check_ends(mapped: dict[str, list[Stage]], page: Page) -> None:
    if not any(_begins(name, stage) for name, stages in mapped.items() for stage in stages):
        page.warning(
            ("services",),
            "no stage begins a journey",
            "map a stage signal, or say begins: {} in the stage where a signal comes up",
        )
    if not any(_ends(name, stage) for name, stages in mapped.items() for stage in stages):
        page.warning(
            ("services",),
            "no stage ends a journey: signal-to-fill is never recorded",
            "map a stage execution, or say ends: true in the last stage",
        )


def _begins(name: str, stage: Stage) -> bool:
    known = STAGES.get(name)
    return stage.begins is not None or (known is not None and known.begins)


def _ends(name: str, stage: Stage) -> bool:
    known = STAGES.get(name)
    return stage.ends if stage.ends is not None else known is not None and "ok" in known.ends
