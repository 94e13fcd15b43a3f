"""The embedded backend: what the real SDK exports arrives; what is wrong is answered clearly."""

import gzip
import http.client
import socket
from collections.abc import Iterator

import pytest
from opentelemetry import trace
from opentelemetry._logs import LogRecord
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import Counter, Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from tradespan.backends.embedded import EmbeddedBackend, Limits

PROTOBUF = {"Content-Type": "application/x-protobuf"}


@pytest.fixture
def backend() -> Iterator[EmbeddedBackend]:
    """An embedded backend that listens."""
    with EmbeddedBackend() as backend:
        yield backend


def resource(**more):
    """A service's resource, in namespace `n`."""
    return Resource({"service.name": "risk", "service.namespace": "n", **more})


def tracer(backend, compression=Compression.NoCompression):
    """A tracer whose spans are exported as they end, and its provider."""
    provider = TracerProvider(resource=resource(), shutdown_on_exit=False)
    exporter = OTLPSpanExporter(endpoint=f"{backend.endpoint}/v1/traces", compression=compression)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider.get_tracer("t")


def meter(backend, *, delta=False, **more):
    """A meter provider that exports when it is flushed."""
    kinds = dict.fromkeys((Counter, Histogram), AggregationTemporality.DELTA) if delta else None
    exporter = OTLPMetricExporter(
        endpoint=f"{backend.endpoint}/v1/metrics", preferred_temporality=kinds
    )
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=60_000)
    return MeterProvider([reader], resource=resource(**more), shutdown_on_exit=False)


def post(backend, path, body, headers=PROTOBUF, method="POST"):
    """Status and text of the answer to one request."""
    host, port = backend.endpoint.removeprefix("http://").split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=10)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace")
    finally:
        connection.close()


@pytest.mark.parametrize("compression", [Compression.NoCompression, Compression.Gzip])
def test_a_span_arrives_as_it_was_exported(backend, compression):
    """Ids, times to the nanosecond, kind, status, attributes and resource; plain and gzip."""
    t = tracer(backend, compression)
    outer = t.start_span("outer")
    outer.end()
    parent = trace.set_span_in_context(trace.NonRecordingSpan(outer.get_span_context()))
    inner = t.start_span("inner", parent, kind=trace.SpanKind.CLIENT, start_time=10**18 + 7)
    inner.set_attributes({"trading.signal.id": "s1", "n": 3, "x": 0.5, "b": True, "l": ["a", "b"]})
    inner.set_status(trace.StatusCode.ERROR)
    inner.end(10**18 + 12)
    (root,) = [span for span in backend.spans("n") if span.name == "outer"]
    (found,) = [span for span in backend.spans("n") if span.name == "inner"]
    assert root.parent_id is None
    assert (found.trace_id, found.parent_id) == (root.trace_id, root.span_id)
    assert (found.start_ns, found.end_ns, found.duration_ns) == (10**18 + 7, 10**18 + 12, 5)
    assert (found.kind, found.status, found.service) == ("client", "error", "risk")
    assert found.attributes == {
        "trading.signal.id": "s1",
        "n": 3,
        "x": 0.5,
        "b": True,
        "l": ["a", "b"],
    }
    assert found.resource["service.namespace"] == "n"
    assert backend.journey("s1") == [found]
    assert backend.spans("other") == []


def test_a_log_record_arrives_with_its_ids(backend):
    """Body, service, trace and span id, attributes."""
    provider = LoggerProvider(resource=resource(), shutdown_on_exit=False)
    exporter = OTLPLogExporter(endpoint=f"{backend.endpoint}/v1/logs")
    provider.add_log_record_processor(BatchLogRecordProcessor(exporter))
    context = trace.SpanContext(0xA, 0xB, is_remote=False)
    provider.get_logger("t").emit(
        LogRecord(
            timestamp=10**18,
            body="order sent",
            context=trace.set_span_in_context(trace.NonRecordingSpan(context)),
            attributes={"trading.signal.id": "s1"},
        )
    )
    provider.get_logger("t").emit(LogRecord(timestamp=10**18 + 1, body={"started": True}))
    provider.shutdown()
    first, second = backend.logs("n")
    assert (first.time_ns, first.body, first.service) == (10**18, "order sent", "risk")
    assert (first.trace_id, first.span_id, first.signal_id) == (f"{10:032x}", f"{11:016x}", "s1")
    assert (second.trace_id, second.signal_id) == (None, None)


@pytest.mark.parametrize("delta", [False, True])
def test_exported_again_and_again_a_count_counts_once(backend, delta):
    """Cumulative points replace each other, delta points add up: the total is the same."""
    provider = meter(backend, delta=delta)
    counter = provider.get_meter("t").create_counter("orders")
    duration = provider.get_meter("t").create_histogram("latency")
    for _ in range(3):
        counter.add(2, {"side": "buy"})
        counter.add(1, {"side": "sell"})
        duration.record(0.1, {"side": "buy"})
        provider.force_flush()
    provider.shutdown()
    assert backend.total("orders") == {(): 9}
    assert backend.total("orders", by=("side",)) == {("buy",): 6, ("sell",): 3}
    assert backend.total("orders", where={"side": "sell", "service.namespace": "n"}) == {(): 3}
    assert backend.total("latency", by=("side", "absent")) == {("buy", ""): 3}
    assert backend.total("orders", where={"service.namespace": "other"}) == {}
    assert backend.total("never") == {}


def test_instances_and_restarts_add_up(backend):
    """Two processes of one service, and a third with the identity of the first: all count."""
    for instance in ("a", "b", "a"):
        provider = meter(backend, **{"service.instance.id": instance})
        counter = provider.get_meter("t").create_counter("orders")
        for _ in range(2):
            counter.add(5)
            provider.force_flush()
        provider.shutdown()
    assert backend.total("orders", by=("service.instance.id",)) == {("a",): 20, ("b",): 10}


def test_a_gauge_is_no_count(backend):
    """Totals are of counters and histograms."""
    provider = meter(backend)
    provider.get_meter("t").create_gauge("depth").set(7)
    provider.shutdown()
    assert backend.total("depth") == {}


@pytest.mark.parametrize(
    ("path", "body", "headers", "status", "says"),
    [
        ("/v1/traces", b"\xff\xff nonsense", PROTOBUF, 400, "not an OTLP protobuf message"),
        ("/v1/logs", b"plain", {**PROTOBUF, "Content-Encoding": "gzip"}, 400, "not gzip"),
        (
            "/v1/metrics",
            gzip.compress(b"x" * 99, mtime=0)[:-9],
            {**PROTOBUF, "Content-Encoding": "gzip"},
            400,
            "breaks off",
        ),
        ("/v1/traces", b"", {**PROTOBUF, "Content-Encoding": "br"}, 415, "only gzip"),
        ("/v1/traces", b"{}", {"Content-Type": "application/json"}, 415, "only application/x-prot"),
        ("/v1/nothing", b"", PROTOBUF, 404, "known: /v1/traces"),
        ("/", b"", PROTOBUF, 404, "unknown path /"),
    ],
)
def test_bad_input_gets_a_clear_answer_and_the_next_request_works(
    backend, path, body, headers, status, says
):
    """The status fits, the text says what was wrong, and nothing dies."""
    found, text = post(backend, path, body, headers)
    assert (found, says in text) == (status, True), text
    assert post(backend, "/v1/traces", b"") == (200, "")


def test_a_reader_with_a_browser_is_told_what_this_is(backend):
    """GET is answered with 404 and a sentence."""
    status, text = post(backend, "/", None, {}, method="GET")
    assert (status, "OTLP over HTTP is received here" in text) == (404, True)


def test_too_large_is_refused_before_and_after_unpacking():
    """A body above the limit, or one that unpacks to more, is answered with 413."""
    with EmbeddedBackend(Limits(body=1000)) as backend:
        assert post(backend, "/v1/traces", b"x" * 1001)[0] == 413
        bomb = gzip.compress(b"\0" * 100_000)
        assert len(bomb) < 1000
        gzipped = {**PROTOBUF, "Content-Encoding": "gzip"}
        assert post(backend, "/v1/traces", bomb, gzipped)[0] == 413


def test_without_a_length_a_request_is_refused(backend):
    """Chunked bodies are not taken, and are told so."""
    status, text = post(backend, "/v1/traces", iter([b"abc"]), {**PROTOBUF})
    assert (status, "Content-Length" in text) == (411, True)


def test_a_connection_that_breaks_off_harms_nobody(backend, capfd):
    """Half a request, then silence: the next one is answered, and nothing is printed."""
    host, port = backend.endpoint.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as half:
        half.sendall(b"POST /v1/traces HTTP/1.1\r\nContent-Length: 500\r\n\r\nabc")
    with socket.create_connection((host, int(port))) as noise:
        noise.sendall(b"\x16\x03\x01 no http at all\r\n\r\n")
    assert post(backend, "/v1/traces", b"")[0] == 200
    assert capfd.readouterr().err == ""


def test_memory_is_bounded():
    """The oldest spans go first; a new metric stream above the limit is refused, known ones not."""
    with EmbeddedBackend(Limits(spans=3, streams=2)) as backend:
        t = tracer(backend)
        for number in range(5):
            t.start_span(f"s{number}").end()
        assert [span.name for span in backend.spans("n")] == ["s2", "s3", "s4"]
        provider = meter(backend)
        counter = provider.get_meter("t").create_counter("orders")
        for _ in range(2):
            for symbol in ("a", "b", "c"):
                counter.add(1, {"symbol": symbol})
            provider.force_flush()
        provider.shutdown()
        assert sum(backend.total("orders", by=("symbol",)).values()) == 4


def test_what_was_received_stays_readable_after_the_end():
    """Reading needs no open port, and the port is free again."""
    with EmbeddedBackend() as backend:
        tracer(backend).start_span("s").end()
    assert len(backend.spans("n")) == 1
    with pytest.raises(ConnectionRefusedError):
        post(backend, "/v1/traces", b"")
