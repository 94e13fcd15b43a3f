"""What a command asks of a backend, and the records it gets back.

Two backends answer alike: `embedded` (OTLP received into memory) and `lab` (Prometheus, Jaeger
and Loki over their query APIs), so that no command knows which of them it reads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from tradespan.semconv import attributes as names

Attributes = Mapping[str, object]
"""Attribute key to value: str, bool, int, float, or a list or dict of those."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One ended span, as a backend stored it.

    Times are nanoseconds since the epoch; ids are lower-case hexadecimal. `kind` is `internal`,
    `server`, `client`, `producer` or `consumer`; `status` is `unset`, `ok` or `error`.
    `parent_id` is None for a root.
    """

    trace_id: str
    span_id: str
    parent_id: str | None
    name: str
    kind: str
    service: str
    start_ns: int
    end_ns: int
    status: str = "unset"
    attributes: Attributes = field(default_factory=dict)
    resource: Attributes = field(default_factory=dict)

    @property
    def stage(self) -> str | None:
        """Name of the stage this span is, or None for any other span (a CLIENT call, a route)."""
        value = self.attributes.get(names.TRADING_STAGE)
        return value if isinstance(value, str) and value else None

    @property
    def signal_id(self) -> str | None:
        """The signal whose journey this span belongs to, or None."""
        value = self.attributes.get(names.TRADING_SIGNAL_ID)
        return value if isinstance(value, str) and value else None

    @property
    def duration_ns(self) -> int:
        """Nanoseconds from start to end; 0 for a span that ends before it starts."""
        return max(0, self.end_ns - self.start_ns)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """One log record. `time_ns` is ns since the epoch; ids are None when not correlated."""

    time_ns: int
    service: str
    body: str
    trace_id: str | None = None
    span_id: str | None = None
    attributes: Attributes = field(default_factory=dict)

    @property
    def signal_id(self) -> str | None:
        """The signal this line speaks of, or None."""
        value = self.attributes.get(names.TRADING_SIGNAL_ID)
        return value if isinstance(value, str) and value else None


class BackendError(Exception):
    """A backend did not answer, or not with what was asked for.

    Arguments:
        what: what failed, in one clause, without the address.
        where: the address that was asked.
        hint: what the reader can do about it.
    """

    def __init__(self, what: str, *, where: str, hint: str) -> None:
        super().__init__(f"{what} ({where})")
        self.what = what
        self.where = where
        self.hint = hint


class Backend(Protocol):
    """The questions every backend answers. Each method raises BackendError when it cannot."""

    @property
    def name(self) -> str:
        """How a report calls this backend: `embedded` or `lab`."""

    def spans(self, namespace: str) -> Sequence[Span]:
        """All spans of services in this `service.namespace`, in no particular order."""

    def journey(self, signal_id: str) -> Sequence[Span]:
        """All spans that carry this signal id, in whichever trace they stand."""

    def total(
        self,
        metric: str,
        *,
        by: Sequence[str] = (),
        where: Mapping[str, str] | None = None,
    ) -> dict[tuple[str, ...], int]:
        """What a counter has counted, or how many values a histogram has recorded.

        Arguments:
            metric: OpenTelemetry name, such as `trading.pipeline.duration`.
            by: attribute keys (of the data point or the resource) to keep apart.
            where: attribute keys (likewise) and the value each must have.

        Returns:
            One entry for each combination of the values of `by` (a missing attribute is `""`),
            summed over services, processes and all other attributes. Empty when nothing matches;
            without `by` the only key is `()`.
        """

    def logs(self, namespace: str) -> Sequence[LogLine]:
        """All log lines of services in this `service.namespace`, in no particular order."""
