"""What a stage records when it begins and when it ends."""

from __future__ import annotations

import functools
import math
import os
import time
from importlib.metadata import version
from typing import Any, Protocol

from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind

from tradespan import instruments, readings
from tradespan import settings as setting
from tradespan.guard import failed, guard
from tradespan.journey import Journey
from tradespan.memory import Memory
from tradespan.semconv import metrics
from tradespan.semconv.attributes import TRADING_STAGE
from tradespan.semconv.model import StageDefinition
from tradespan.stages import live
from tradespan.stages.arrival import Arrival
from tradespan.stages.values import epoch_seconds, plain

_METRICS = guard("stage.metrics")


class Measured(Protocol):
    """What is needed of a stage to measure it."""

    name: str
    definition: StageDefinition
    values: dict[str, Any]
    outcome: Any
    wait: float | None


_ends, _recorded = Memory(), Memory()
_introduced: dict[tuple[str, str], tuple[str, ...]] = {}
"""By pipeline and stage: the same within the bounds of metric attributes."""
_newest: dict[tuple[str, ...], float] = {}
"""By feed: when its newest event happened, in seconds since the epoch."""
_AHEAD = 86_400.0  # seconds by which no event is ahead of the wall clock; milliseconds are
_MOST = 1000  # introduced; a pipeline is whatever a hand-off says


@functools.cache
def tracer() -> trace.Tracer:
    """The tracer of all stages."""
    return trace.get_tracer("tradespan", version("tradespan"))


def start_span(name: str, came: Arrival, kind: SpanKind) -> Span:
    """The stage's span; above the limit of its trace one that records nothing.

    Arguments:
        name: of the stage.
        came: how the journey came to it.
        kind: of the span.
    """
    parent = trace.get_current_span(came.ctx).get_span_context()
    limits = setting.current.stage_spans
    loops = parent.is_valid and not came.first  # what a hand-off brings is always seen
    if loops and _recorded.count((parent.trace_id, name)) > limits.get(name, limits["*"]):
        where = {"pipeline": came.journey.pipeline, "stage": name}
        instruments.record(metrics.TRADING_STAGE_UNRECORDED, 1, where)
        return trace.NonRecordingSpan(parent)
    attributes = {TRADING_STAGE: name, **came.journey.entries()}
    return tracer().start_span(name, came.ctx, kind, attributes, came.links)


def began(stage: Measured, journey: Journey) -> None:
    """Record what is known when a stage begins; the first one of its name opens its rooms."""
    _introduce(stage, journey)
    if is_foreign(journey):
        return
    if stage.wait is not None:
        where = {"pipeline": journey.pipeline, "stage": stage.name}
        instruments.record(metrics.TRADING_STAGE_WAIT, stage.wait, where)


def ended(stage: Measured, journey: Journey, seconds: float, work: float, ends: bool) -> bool:
    """Record the metrics of a stage that has ended.

    Arguments:
        seconds: time inside the stage.
        work: the same, exclusive of the stages nested in it.
        ends: whether it ends the journey.

    Returns:
        Whether the journey ended here and now, for the first time.
    """
    elapsed = max(0.0, (time.time_ns() - journey.origin_ns) / 1e9)
    again = ends and _ends.count((journey.signal_id, journey.origin_ns)) > 1
    with _METRICS:
        where = {"pipeline": journey.pipeline, "stage": stage.name}
        if is_foreign(journey):
            foreign = {"pipeline": journey.pipeline, "mode": journey.mode}
            instruments.record(metrics.TRADING_JOURNEY_FOREIGN, 1, foreign)
            return ends and not again
        result = {**where, "outcome": stage.outcome}
        instruments.record(metrics.TRADING_STAGE_DURATION, work, result)
        instruments.record(metrics.TRADING_STAGE_ELAPSED, elapsed, where)
        _check_budget(stage.name, journey, work)
        _feed(stage, seconds)
        if again:
            twice = {"pipeline": journey.pipeline, "reason": "ended"}
            instruments.record(metrics.TRADING_JOURNEY_REDELIVERED, 1, twice)
        elif ends and journey.trigger == "signal":
            instruments.record(metrics.TRADING_PIPELINE_DURATION, elapsed, result)
            _check_budget("total", journey, elapsed)
    return ends and not again


def is_foreign(journey: Journey) -> bool:
    """Whether a journey belongs to another run mode than this process."""
    return journey.mode != setting.current.mode


def _check_budget(stage: str, journey: Journey, seconds: float) -> None:
    budget = setting.current.budgets.get(stage)
    if budget is not None and seconds > budget:
        where = {"pipeline": journey.pipeline, "stage": stage}
        instruments.record(metrics.TRADING_STAGE_OVER_BUDGET, 1, where)


def _introduce(stage: Measured, journey: Journey) -> None:
    """Open the rooms of a stage seen for the first time, and state its budget."""
    if (journey.pipeline, stage.name) in _introduced or len(_introduced) >= _MOST:
        return
    where = {"pipeline": journey.pipeline, "stage": stage.name}
    within = instruments.bound(metrics.TRADING_STAGE_ACTIVE, where)
    _introduced[journey.pipeline, stage.name] = tuple(within.values())
    instruments.know("pipeline", setting.current.pipeline)
    for room in dict.fromkeys(["telemetry", "stages", *_rooms(stage.definition)]):
        instruments.open_room(room)
    for reason in metrics.TRADING_HANDOFF_ANOMALIES.values["reason"]:
        instruments.record(metrics.TRADING_HANDOFF_ANOMALIES, 0, {**where, "reason": reason})
    for name in (stage.name, "total"):
        budget, whose = setting.current.budgets.get(name), {**where, "stage": name}
        if budget is not None:
            instruments.record(metrics.TRADING_STAGE_BUDGET, budget, whose)
            instruments.record(metrics.TRADING_STAGE_OVER_BUDGET, 0, whose)


def _rooms(definition: StageDefinition) -> list[str]:
    return [feed.metric.room for feed in definition.feeds]


def _feed(stage: Measured, seconds: float) -> None:
    """Record the catalogue's own metrics of the stage."""
    outcome = str(stage.outcome)
    labels = {"stage": stage.name, **{k: plain(v) for k, v in stage.values.items()}}
    for label, words in stage.definition.labels.items():
        labels.setdefault(label, words.get(outcome, outcome))
    known = {"count": 1.0, "seconds": seconds}
    for feed in stage.definition.feeds:
        if feed.outcomes and outcome not in feed.outcomes:
            continue
        value = known.get(feed.source, labels.get(feed.source))
        if value is not None:
            instruments.record(feed.metric, value, labels, _METRICS.site)
    _note_event(stage)


def _note_event(stage: Measured) -> None:
    """In live mode, keep the time of the newest market event of the feed."""
    event_time = stage.values.get("event_time")
    if not stage.definition.begins or setting.current.mode != "live" or event_time is None:
        return
    now, happened = time.time(), epoch_seconds(event_time)
    if not math.isfinite(happened):
        return
    if happened > now + _AHEAD:
        failed(_METRICS.site, ValueError("an event time of the future; it is in seconds"))
    else:
        within = instruments.bound(metrics.TRADING_FEED_AGE, {"feed": stage.values.get("symbol")})
        feed = tuple(within.values())
        if feed not in _newest:
            instruments.open_room(metrics.TRADING_FEED_AGE.room)
        _newest[feed] = max(_newest.get(feed, -math.inf), min(happened, now))


def _feed_ages() -> dict[tuple[str, ...], float]:
    """By feed, how old its newest event is now by the wall clock; it ages while none comes."""
    now = time.time()
    return {feed: max(0.0, now - newest) for feed, newest in list(_newest.items())}


def _active() -> dict[tuple[str, ...], float]:
    """How many stages go on now, by pipeline and stage; 0 for those that went on before."""
    counts = dict.fromkeys(list(_introduced.values()), 0.0)
    for stage in live.going_on():
        journey = stage.journey
        if journey is not None and not is_foreign(journey):
            within = _introduced.get((journey.pipeline, stage.name))
            if within is not None:
                counts[within] = counts.get(within, 0.0) + 1  # it may have begun since
    return counts


def reset() -> None:
    """Forget ends and introductions; for tests and for a forked child."""
    _ends.clear()
    _recorded.clear()
    _introduced.clear()
    _newest.clear()
    tracer.cache_clear()


readings.observe(metrics.TRADING_STAGE_ACTIVE, _active)
readings.observe(metrics.TRADING_FEED_AGE, _feed_ages)
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=reset)
