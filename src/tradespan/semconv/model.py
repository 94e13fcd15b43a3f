"""What the registry is made of: the records that the generated modules hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["counter", "updowncounter", "histogram", "gauge"]
Outcome = Literal["ok", "rejected", "skipped", "cancelled", "timeout", "expired", "error"]


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric of the registry.

    Attributes:
        name: OpenTelemetry name, without a unit.
        kind: instrument.
        unit: UCUM unit.
        brief: help text.
        room: instruments of one room are created together, when it is first opened.
        attributes: keys of its metric attributes, in the registry's order.
        boundaries: bucket boundaries of a histogram, in the metric's unit.
        values: declared values of an attribute where they are this metric's own.
        observed: whether a callback gives its value when it is exported.
        template: of one gauge for each declared name, what such a name is; None for a metric.
        most: most gauges of a template.
    """

    name: str
    kind: Kind
    unit: str
    brief: str
    room: str
    attributes: tuple[str, ...] = ()
    boundaries: tuple[float, ...] | None = None
    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    observed: bool = False
    template: str | None = None
    most: int = 0


@dataclass(frozen=True, slots=True)
class Feed:
    """A metric that a stage records when it ends.

    Attributes:
        metric: what is recorded.
        source: `count` (1), `seconds` (time inside the stage) or the name of a stage's value.
        outcomes: only stages that ended so; empty is all.
    """

    metric: Metric
    source: str
    outcomes: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class StageDefinition:
    """What the registry says of a stage.

    Attributes:
        name: of the stage.
        begins: whether it always begins a new journey.
        ends: outcomes that end the journey.
        labels: label values that stand for an outcome: `{label: {outcome: value}}`.
        feeds: metrics that it records.
    """

    name: str
    begins: bool = False
    ends: frozenset[str] = frozenset()
    labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    feeds: tuple[Feed, ...] = ()
