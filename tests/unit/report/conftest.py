"""A pipeline of five services on the plain SDK, exporting over OTLP into the embedded backend."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from opentelemetry import trace
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from tradespan.backends.embedded import EmbeddedBackend

MS = 1_000_000
T0 = 1_736_743_380_000_000_000


class Service:
    """One service: real SDK providers that export to the backend."""

    def __init__(self, name, namespace, endpoint):
        resource = Resource({"service.name": name, "service.namespace": namespace})
        self.name = name
        self.tracers = TracerProvider(resource=resource, shutdown_on_exit=False)
        self.tracers.add_span_processor(
            BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{endpoint}/v1/traces"))
        )
        reader = PeriodicExportingMetricReader(
            OTLPMetricExporter(endpoint=f"{endpoint}/v1/metrics"), export_interval_millis=60_000
        )
        self.meters = MeterProvider([reader], resource=resource, shutdown_on_exit=False)
        self.loggers = LoggerProvider(resource=resource, shutdown_on_exit=False)
        self.loggers.add_log_record_processor(
            BatchLogRecordProcessor(OTLPLogExporter(endpoint=f"{endpoint}/v1/logs"))
        )
        self.stage_duration = self.meters.get_meter("t").create_histogram(
            "trading.stage.duration", unit="s"
        )
        self.pipeline_duration = self.meters.get_meter("t").create_histogram(
            "trading.pipeline.duration", unit="s"
        )

    def span(self, name, start_ms, end_ms, *, parent=None, kind="INTERNAL", **values):
        """A span with these times (ms after the origin); returns its context for children."""
        context = trace.set_span_in_context(trace.NonRecordingSpan(parent)) if parent else None
        span = self.tracers.get_tracer("t").start_span(
            name,
            context=context,
            kind=trace.SpanKind[kind],
            start_time=T0 + round(start_ms * MS),
            attributes={key.replace("__", "."): value for key, value in values.items()},
        )
        span.end(T0 + round(end_ms * MS))
        return span.get_span_context()

    def log(self, body, context=None, signal_id=None):
        """A log record, correlated when context and signal id are given."""
        record = LogRecord(
            timestamp=T0,
            severity_number=SeverityNumber.INFO,
            body=body,
            context=trace.set_span_in_context(trace.NonRecordingSpan(context)) if context else None,
            attributes={"trading.signal.id": signal_id} if signal_id else {},
        )
        self.loggers.get_logger("t").emit(record)

    def close(self):
        for provider in (self.tracers, self.meters, self.loggers):
            provider.shutdown()


class Pipeline:
    """Five services and the journeys that a test sends through them."""

    NAMES = ("signal-generator", "orchestrator", "llm-validation", "risk", "trade-executor")

    def __init__(self, backend, namespace):
        self.namespace = namespace
        self.services = {name: Service(name, namespace, backend.endpoint) for name in self.NAMES}

    def skipped(self):
        """A HOLD: counted, without a trace."""
        service = self.services["signal-generator"]
        service.stage_duration.record(0.001, {"stage": "signal", "outcome": "skipped"})
        service.pipeline_duration.record(0.001, {"outcome": "skipped"})

    def filled(self, signal_id, *, model_ms=40.0, traced=True, parent_of_execution="orchestration"):
        """signal 0-5, wait 5, orchestration 10-(70+model), validation over HTTP with `model_ms`
        of work, risk over HTTP with 10 ms, wait 20, execution 30 ms."""
        mark = {"trading__signal__id": signal_id, "trading__origin": str(T0)}
        names = self.NAMES
        generator, orchestrator, validator, risk, executor = (self.services[n] for n in names)
        m = model_ms
        if traced:
            s = generator.span("signal", 0, 5, trading__stage="signal", **mark)
            o = orchestrator.span(
                "orchestration",
                10,
                70 + m,
                parent=s,
                kind="CONSUMER",
                trading__stage="orchestration",
                trading__wait=0.005,
                **mark,
            )
            c = orchestrator.span("POST", 15, 25 + m, parent=o, kind="CLIENT", **mark)
            h = validator.span("POST /validate", 16, 24 + m, parent=c, kind="SERVER", **mark)
            v = validator.span(
                "validation",
                17,
                17 + m,
                parent=h,
                trading__stage="validation",
                trading__wait=0.002,
                **mark,
            )
            c = orchestrator.span("POST", 30 + m, 50 + m, parent=o, kind="CLIENT", **mark)
            h = risk.span("POST /assess", 31 + m, 48 + m, parent=c, kind="SERVER", **mark)
            r = risk.span(
                "risk", 32 + m, 42 + m, parent=h, trading__stage="risk", trading__wait=0.002, **mark
            )
            e = executor.span(
                "execution",
                80 + m,
                110 + m,
                parent=o if parent_of_execution == "orchestration" else parent_of_execution,
                kind="CONSUMER",
                trading__stage="execution",
                trading__wait=0.02,
                trading__outcome="ok",
                trading__journey__end=True,
                trading__symbol="BTC-USD",
                trading__side="buy",
                **mark,
            )
            for service, context in zip(self.services.values(), (s, o, v, r, e), strict=True):
                service.log(f"{service.name} did its part", context, signal_id)
        for service, stage in zip(
            self.services.values(),
            ("signal", "orchestration", "validation", "risk", "execution"),
            strict=True,
        ):
            service.stage_duration.record(0.01, {"stage": stage, "outcome": "ok"})
        executor.pipeline_duration.record((110 + m) / 1000, {"outcome": "ok"})

    def flush(self):
        for service in self.services.values():
            service.close()


@pytest.fixture
def backend() -> Iterator[EmbeddedBackend]:
    """An embedded backend that listens."""
    with EmbeddedBackend() as backend:
        yield backend


@pytest.fixture
def pipeline(backend) -> Pipeline:
    """Five services that export to it; a test calls `flush` before it reads."""
    return Pipeline(backend, "test-1")
