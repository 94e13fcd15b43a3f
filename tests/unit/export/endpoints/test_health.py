"""/health: that the service lives, and the truth about its telemetry."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    ConsoleMetricExporter,
    MetricExportResult,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from tradespan import guard
from tradespan.export import outage
from tradespan.export.endpoints import health
from tradespan.export.endpoints.answer import answer
from tradespan.mapping.record import Record


@pytest.fixture(autouse=True)
def _nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_signals", {})
    monkeypatch.setattr(health, "_facts", {})
    monkeypatch.setattr(health, "_endpoint", "")
    monkeypatch.setattr(health, "_seen", {})
    monkeypatch.setattr(guard, "failures", Counter())
    monkeypatch.setattr(guard, "strict", True)
    monkeypatch.setattr(outage, "_now_out", threading.Event())


class Spans(SpanExporter):
    """An exporter whose collector takes, refuses or breaks."""

    collector = "takes"

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        if self.collector == "breaks":
            raise ConnectionError
        return SpanExportResult.SUCCESS if self.collector == "takes" else SpanExportResult.FAILURE

    def shutdown(self) -> None: ...


class Traces:
    """Spans that are exported when the test says so."""

    def __init__(self, queue: int = 4) -> None:
        self.exporter = Spans()
        batch = BatchSpanProcessor(
            health.watch_exporter("traces", self.exporter),
            max_queue_size=queue,
            max_export_batch_size=queue,
            schedule_delay_millis=10**7,
        )
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(health.watch_queue("traces", batch))

    def spans(self, number: int) -> None:
        """End some spans."""
        for _ in range(number):
            self.provider.get_tracer("x").start_span("s").end()


def asked() -> dict[str, Any]:
    """What /health says."""
    reply = answer("/health", "", {}, list)
    assert reply.status == 200
    assert ("Content-Type", "application/json") in reply.headers
    found: dict[str, Any] = json.loads(reply.body)
    return found


def test_nothing_to_tell() -> None:
    """A service that has exported nothing lives, and nothing is known to be wrong."""
    said = asked()
    assert (said["live"], said["status"], said["trouble"]) == (True, "ok", [])
    assert said["exporter"]["reachable"] is None
    assert said["uptime_seconds"] > 0


def test_what_the_collector_took() -> None:
    """Reachable, with the time of the last success and what is waiting."""
    traces = Traces()
    traces.spans(2)
    assert asked()["signals"]["traces"]["queue"] == {"size": 2, "capacity": 4, "fill": 0.5}
    traces.provider.force_flush()
    said = asked()
    assert said["exporter"]["reachable"] is True
    told = said["signals"]["traces"]
    assert (told["exported"], told["dropped"], told["last_failure"]) == (2, 0, None)
    assert told["last_success"].startswith("20")
    assert told["queue"]["size"] == 0


@pytest.mark.parametrize("collector", ["refuses", "breaks"])
def test_a_collector_that_does_not_take(collector: str) -> None:
    """Degraded and 200: nobody shall restart a trading service for its telemetry."""
    traces = Traces()
    traces.spans(1)
    traces.provider.force_flush()
    traces.exporter.collector = collector
    traces.spans(2)
    traces.provider.force_flush()
    said = asked()
    assert (said["live"], said["status"]) == (True, "degraded")
    assert said["exporter"]["reachable"] is False
    assert said["signals"]["traces"]["dropped"] == 2
    assert "2 traces dropped" in said["trouble"]
    assert said["signals"]["traces"]["last_success"] is not None
    traces.exporter.collector = "takes"
    traces.spans(1)
    traces.provider.force_flush()
    assert asked()["exporter"]["reachable"] is True


def later(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """So many seconds pass."""
    now = health._now() + seconds
    monkeypatch.setattr(health, "_now", lambda: now)


def test_what_is_over_degrades_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten minutes after the last drop and the last failure all is well; the counts stay."""
    traces = Traces()
    traces.exporter.collector = "refuses"
    traces.spans(2)
    traces.provider.force_flush()
    guard.failed("stage.end", ValueError())
    traces.exporter.collector = "takes"
    traces.spans(1)
    traces.provider.force_flush()
    wrong = ["2 traces dropped", "telemetry failed at stage.end"]
    later(monkeypatch, 599)
    assert asked()["trouble"] == wrong
    later(monkeypatch, 2)
    said = asked()
    assert (said["status"], said["trouble"]) == ("ok", [])
    assert said["signals"]["traces"]["dropped"] == 2
    assert said["failures"] == {"stage.end": 1}
    guard.failed("stage.end", ValueError())
    assert asked()["trouble"] == wrong[1:]


@pytest.mark.parametrize("way", ["an export", "a scrape"])
def test_when_it_went_wrong_is_known_before_anybody_asks(
    way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each export and each scrape looks; the first question may come an hour later."""
    traces = Traces()
    guard.failed("stage.end", ValueError())
    if way == "an export":
        traces.spans(1)
        traces.provider.force_flush()
    else:
        answer("/metrics", "", {}, list)
    later(monkeypatch, 3600)
    assert asked()["trouble"] == []


def test_each_signal_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Logs that are refused are named while the metrics get through, if they are not long ago."""
    times = iter(range(1, 100))
    monkeypatch.setattr("tradespan.export.endpoints.signals.time.time", lambda: next(times))
    refused, taken = Spans(), Spans()
    refused.collector = "refuses"
    logs = health.watch_exporter("logs", refused)
    metrics = health.watch_exporter("metrics", taken)
    metrics.export([1])
    assert asked()["exporter"]["reachable"] is True
    logs.export([1])
    assert asked()["exporter"]["reachable"] is False
    metrics.export([1])
    said = asked()
    assert said["exporter"]["reachable"] is True
    reached = {name: signal["reachable"] for name, signal in said["signals"].items()}
    assert reached == {"logs": False, "metrics": True}
    alone = "logs do not get through, others do"
    assert alone in said["trouble"]
    later(monkeypatch, 601)
    assert asked()["trouble"] == [], "no logs since then: who knows"
    logs.export([1])
    metrics.export([1])
    assert alone in asked()["trouble"]
    refused.collector = "takes"
    logs.export([1])
    assert alone not in asked()["trouble"]


def test_an_outage_that_is_being_retried() -> None:
    """Before the first export has given up it is known that nobody answers."""
    Traces()
    outage.Outage("http://127.0.0.1:1").failed()
    assert asked()["exporter"]["reachable"] is False


def test_a_full_queue() -> None:
    """Each span that found it full, or was pushed out, is counted."""
    traces = Traces(queue=2)
    traces.provider._active_span_processor._span_processors[0]._batch_processor._export = (  # type: ignore[attr-defined]
        lambda _: None
    )
    traces.spans(7)
    assert asked()["signals"]["traces"]["dropped"] == 5
    assert asked()["signals"]["traces"]["queue"]["fill"] == 1.0


@pytest.mark.parametrize("success", [True, False])
def test_metrics(success: bool) -> None:
    """The periodic reader's exporter is watched; a refused export of metrics loses nothing."""
    exporter = ConsoleMetricExporter()
    result = MetricExportResult.SUCCESS if success else MetricExportResult.FAILURE
    exporter.export = lambda *_, **__: result  # type: ignore[method-assign]
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=10**8)
    provider = MeterProvider([reader], shutdown_on_exit=False)
    health.watch_metrics(provider, "http://user:secret@127.0.0.1:4318")
    provider.get_meter("x").create_counter("orders").add(1)
    provider.force_flush()
    said = asked()
    assert said["exporter"]["reachable"] is success
    assert said["signals"]["metrics"]["dropped"] == 0
    assert "secret" not in json.dumps(said)


def test_failures_of_ours() -> None:
    """Each site that failed, and how often."""
    guard.failed("stage.end", ValueError())
    guard.failed("stage.end", ValueError())
    said = asked()
    assert said["failures"] == {"stage.end": 2}
    assert said["trouble"] == ["telemetry failed at stage.end"]


def test_what_a_room_tells() -> None:
    """Targets of tradespan.yaml: how many are wrapped, and which are not and why."""
    record = Record()
    told = (("m:f", "wrapped", ""), ("m:g", "not wrapped", "there is no such name"))
    for name, state, why in told:
        entry = record.add("services.a", name)
        entry.state, entry.why = state, why
    record.add("services.a", "later:h")
    health.tell("targets", record.health)
    said = asked()
    assert (said["targets"]["wrapped"], said["targets"]["of"]) == (1, 3)
    assert [one["fired"] for one in said["targets"]["all"]] == [0, 0, 0]
    assert said["trouble"] == ["m:g is not wrapped: there is no such name"]


def test_a_room_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its facts are left out; the others are told, and the failure is."""
    monkeypatch.setattr(guard, "strict", False)

    def fail() -> dict[str, Any]:
        raise RuntimeError("broken")

    health.tell("broken", fail)
    health.tell("whole", lambda: {"x": object()})
    said = asked()
    assert "broken" not in said
    assert "object" in said["whole"]["x"]
    assert said["failures"] == {"health.facts": 1}
