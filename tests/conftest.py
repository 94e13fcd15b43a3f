"""Telemetry captured in memory: tests assert on what is exported, not on mocks."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from opentelemetry import context, metrics, propagate, trace
from opentelemetry.sdk.metrics import Counter, Histogram, MeterProvider, UpDownCounter
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tradespan import guard, instruments
from tradespan import settings as setting
from tradespan.export.ids import SystemIdGenerator
from tradespan.export.propagation import JourneyPropagator
from tradespan.export.spans import HoldUndecided, JourneyIds
from tradespan.settings import Settings
from tradespan.stages import live, measure

Labels = dict[str, Any]

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a run in the background of a shell
    signal.signal(signal.SIGINT, signal.default_int_handler)  # the programs under test have it


@dataclass
class Point:
    """One data point: a number, or count and sum of a histogram."""

    labels: Labels
    value: float = 0.0
    count: int = 0
    sum: float = 0.0


@dataclass
class Telemetry:
    """What was exported since the test began."""

    exporter: InMemorySpanExporter
    reader: InMemoryMetricReader
    points: dict[str, list[Point]] = field(default_factory=dict)

    @property
    def spans(self) -> list[ReadableSpan]:
        """Finished spans, in the order in which they ended."""
        return list(self.exporter.get_finished_spans())

    def span(self, name: str) -> ReadableSpan:
        """The one span of this name."""
        found = [s for s in self.spans if s.name == name]
        assert len(found) == 1, f"{len(found)} spans named {name}: {[s.name for s in self.spans]}"
        return found[0]

    def metric(self, name: str, **labels: Any) -> list[Point]:
        """Data points of a metric whose labels include these."""
        self._collect()
        return [p for p in self.points.get(name, []) if labels.items() <= p.labels.items()]

    def total(self, name: str, **labels: Any) -> float:
        """Sum of a counter, or count of a histogram, over the points with these labels."""
        return sum(p.count or p.value for p in self.metric(name, **labels))

    def last(self, name: str, **labels: Any) -> float | None:
        """The latest value of a gauge with these labels, or None where it was never set."""
        points = self.metric(name, **labels)
        return points[-1].value if points else None

    def _collect(self) -> None:
        data = self.reader.get_metrics_data()
        for resource in data.resource_metrics if data else ():
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    self.points.setdefault(metric.name, []).extend(
                        Point(
                            dict(p.attributes or {}),
                            getattr(p, "value", 0.0),
                            getattr(p, "count", 0),
                            getattr(p, "sum", 0.0),
                        )
                        for p in metric.data.data_points
                    )


class _PerTest(metrics.MeterProvider):
    """The global provider, which can be set only once: hands out the meters of the test's own."""

    current: metrics.MeterProvider = metrics.NoOpMeterProvider()

    def get_meter(self, *args: Any, **kwargs: Any) -> metrics.Meter:
        """A meter of the provider of the test that runs."""
        return self.current.get_meter(*args, **kwargs)


@pytest.fixture(scope="session")
def _providers() -> tuple[InMemorySpanExporter, _PerTest]:
    exporter = InMemorySpanExporter()
    tracing = TracerProvider(id_generator=SystemIdGenerator(), shutdown_on_exit=False)
    tracing.add_span_processor(JourneyIds())
    tracing.add_span_processor(HoldUndecided(SimpleSpanProcessor(exporter)))
    trace.set_tracer_provider(tracing)
    meters = _PerTest()
    metrics.set_meter_provider(meters)
    propagate.set_global_textmap(JourneyPropagator(propagate.get_global_textmap()))
    return exporter, meters


@pytest.fixture
def telemetry(
    _providers: tuple[InMemorySpanExporter, _PerTest], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Telemetry]:
    """A clean start: nothing exported, nothing seen, failures of ours are raised."""
    exporter, meters = _providers
    exporter.clear()
    delta = AggregationTemporality.DELTA
    reader = InMemoryMetricReader(
        preferred_temporality={Counter: delta, Histogram: delta, UpDownCounter: delta}
    )
    meters.current = MeterProvider([reader], shutdown_on_exit=False)
    instruments.reset()
    measure.reset()
    live._reset()
    guard.failures.clear()
    monkeypatch.setattr(guard, "strict", True)
    monkeypatch.setattr(setting, "current", Settings(mode="replay", mode_given=True))
    token = context.attach(context.Context())  # what one test leaves there is not the next one's
    yield Telemetry(exporter, reader)
    context.detach(token)
    guard.failures.clear()
