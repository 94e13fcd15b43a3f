"""What a registry is made of, after it has been read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


class RegistryError(Exception):
    """The registry cannot be used; the text names file and entry."""


@dataclass(frozen=True)
class Attribute:
    """An attribute.

    Attributes:
        file: registry file, for messages.
        key: its name.
        type: `string`, `int`, `double`, `boolean` or `enum`.
        brief: help text.
        members: declared values of an enum.
        limit: most distinct values in a process, of a metric attribute that is no enum.
        symbols: whether the user's limit of symbols holds for it.
    """

    file: str
    key: str
    type: str
    brief: str
    members: tuple[str, ...] = ()
    limit: int | None = None
    symbols: bool = False


@dataclass(frozen=True)
class Metric:
    """A metric, or the template of one gauge for each declared name.

    Attributes:
        file: registry file, for messages and for the module that it goes to.
        name: OpenTelemetry name; of a template, what stands before `_NAME`.
        instrument: `counter`, `updowncounter`, `histogram` or `gauge`.
        unit: UCUM.
        brief: help text.
        labels: keys of its attributes.
        room: room whose opening creates it.
        question: what it answers.
        section: of the catalogue; None for tradespan's own.
        boundaries: name of a bucket set.
        values: declared values of an attribute where they are this metric's own.
        called: how a public function records it by name: `{call|value|count: name}`.
        observed: whether a callback gives its value.
        template: attribute key that the names of a template count against.
        limit: most gauges of a template.
    """

    file: str
    name: str
    instrument: str
    unit: str
    brief: str
    labels: tuple[str, ...]
    room: str
    question: str
    section: int | None = None
    boundaries: str | None = None
    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    called: Mapping[str, str] = field(default_factory=dict)
    observed: bool = False
    template: str | None = None
    limit: int | None = None

    @property
    def constant(self) -> str:
        """The constant's name in the generated module."""
        return self.name.replace(".", "_").upper()


@dataclass(frozen=True)
class Registry:
    """All of it.

    Attributes:
        spans: attributes of spans, logs, baggage and resources.
        labels: attributes of metrics.
        metrics: in the order of files and entries; templates among them.
        boundaries: bucket sets, `{name: (values, reason)}`.
        stages: stages.yaml as it stands.
    """

    spans: tuple[Attribute, ...]
    labels: tuple[Attribute, ...]
    metrics: tuple[Metric, ...]
    boundaries: Mapping[str, tuple[tuple[float, ...], str]]
    stages: Mapping[str, Any]

    def files(self) -> list[str]:
        """Names of the files that hold metrics, in order."""
        return list(dict.fromkeys(metric.file for metric in self.metrics))

    def words(self, metric: Metric, key: str) -> tuple[str, ...]:
        """Declared values of a metric's attribute; empty where it has a limit instead."""
        found = next(a for a in self.labels if a.key == key)
        return metric.values.get(key) or found.members

    def limit(self, key: str) -> int | None:
        """Limit of a metric attribute."""
        return next(a for a in self.labels if a.key == key).limit
