"""The embedded backend: OTLP over HTTP received into memory, for a demo, a test or one desk.

No other program is needed. It listens on loopback, takes http/protobuf (plain or gzip) at
`/v1/traces`, `/v1/metrics` and `/v1/logs`, and answers the `Backend` protocol. What it keeps is
bounded (`Limits`); nothing outlives the process.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from tradespan.backends import otlp
from tradespan.backends.protocol import LogLine, Span
from tradespan.backends.receiver import Receiver

_NAMESPACE = "service.namespace"


@dataclass(frozen=True, slots=True)
class Limits:
    """How much the embedded backend keeps; about 400 MB when everything is full.

    Attributes:
        spans: ended spans; the oldest go first.
        logs: log records; the oldest go first.
        streams: metric streams (one for each metric, process and set of attributes); new ones
            above it are refused and reported to the sender as a partial success.
        body: bytes of one request, unpacked; a larger one is answered with 413.
    """

    spans: int = 100_000
    logs: int = 100_000
    streams: int = 20_000
    body: int = 16 * 1024 * 1024


class EmbeddedBackend:
    """Receive OTLP on a free loopback port and answer the `Backend` protocol from memory.

    A context manager: it listens from `__enter__` to `__exit__`; what it received stays readable
    afterwards. `endpoint` is what goes into OTEL_EXPORTER_OTLP_ENDPOINT.

    Arguments:
        limits: bounds of what is kept.
    """

    name = "embedded"

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self._lock = threading.Lock()
        self._spans: deque[Span] = deque(maxlen=self.limits.spans)
        self._logs: deque[tuple[object, LogLine]] = deque(maxlen=self.limits.logs)
        self._sums = otlp.Sums(self.limits.streams)
        self._receiver = Receiver(
            {
                "/v1/traces": self.take_traces,
                "/v1/metrics": self.take_metrics,
                "/v1/logs": self.take_logs,
            },
            limit=self.limits.body,
        )

    @property
    def endpoint(self) -> str:
        """Base address of the receiver, such as `http://127.0.0.1:40123`."""
        return self._receiver.address

    def __enter__(self) -> Self:
        self._receiver.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._receiver.stop()

    def spans(self, namespace: str) -> Sequence[Span]:
        """See `Backend.spans`."""
        with self._lock:
            return [span for span in self._spans if span.resource.get(_NAMESPACE) == namespace]

    def journey(self, signal_id: str) -> Sequence[Span]:
        """See `Backend.journey`."""
        with self._lock:
            return [span for span in self._spans if span.signal_id == signal_id]

    def total(
        self,
        metric: str,
        *,
        by: Sequence[str] = (),
        where: Mapping[str, str] | None = None,
    ) -> dict[tuple[str, ...], int]:
        """See `Backend.total`."""
        with self._lock:
            return self._sums.total(metric, by, where or {})

    def logs(self, namespace: str) -> Sequence[LogLine]:
        """See `Backend.logs`."""
        with self._lock:
            return [line for owner, line in self._logs if owner == namespace]

    def take_traces(self, body: bytes) -> Message:
        """Store one export request of spans. Raises DecodeError for a malformed one."""
        request = ExportTraceServiceRequest()
        request.ParseFromString(body)
        received = list(otlp.spans(request))
        with self._lock:
            self._spans.extend(received)
        return ExportTraceServiceResponse()

    def take_logs(self, body: bytes) -> Message:
        """Store one export request of log records. Raises DecodeError for a malformed one."""
        request = ExportLogsServiceRequest()
        request.ParseFromString(body)
        received = [(owner.get(_NAMESPACE), line) for owner, line in otlp.log_lines(request)]
        with self._lock:
            self._logs.extend(received)
        return ExportLogsServiceResponse()

    def take_metrics(self, body: bytes) -> Message:
        """Store one export request of metrics. Raises DecodeError for a malformed one."""
        request = ExportMetricsServiceRequest()
        request.ParseFromString(body)
        received = list(otlp.points(request))
        with self._lock:
            refused = sum(not self._sums.add(point) for point in received)
        response = ExportMetricsServiceResponse()
        if refused:
            response.partial_success.rejected_data_points = refused
            response.partial_success.error_message = (
                f"the embedded backend keeps {self.limits.streams} metric streams, no more"
            )
        return response
