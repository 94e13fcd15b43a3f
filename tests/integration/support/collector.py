"""A collector in memory: the embedded backend, which also keeps sums and severities."""

from __future__ import annotations

import socket
from collections import Counter, defaultdict

from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)

from tradespan.backends.embedded import EmbeddedBackend
from tradespan.backends.protocol import LogLine, Span

NAMESPACE = "under-test"
"""The `service.namespace` of every service that is started here."""


class Collector(EmbeddedBackend):
    """What the services of one test have sent."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: dict[tuple[str, str], float] = {}
        self.severities: Counter[str] = Counter()

    @property
    def all_spans(self) -> list[Span]:
        """Every span received."""
        return list(self.spans(NAMESPACE))

    @property
    def all_logs(self) -> list[LogLine]:
        """Every log record received."""
        return list(self.logs(NAMESPACE))

    def ended(self) -> Counter[tuple[str, str]]:
        """How often each (signal id, stage) has a span."""
        return Counter((str(s.signal_id), s.stage) for s in self.all_spans if s.stage)

    def counted(self) -> dict[str, int]:
        """How many ends of each stage the metrics know."""
        by_stage = self.total("trading.stage.duration", by=("stage",))
        return {stage: count for (stage,), count in by_stage.items() if count}

    def take_metrics(self, body: bytes) -> Message:
        """Keep the sums of the stages' histograms too: seconds of work by stage and process."""
        request = ExportMetricsServiceRequest()
        request.ParseFromString(body)
        sums: dict[tuple[str, str], float] = defaultdict(float)
        for group in request.resource_metrics:
            of = {a.key: a.value.string_value for a in group.resource.attributes}
            for metric in (m for scope in group.scope_metrics for m in scope.metrics):
                for point in metric.histogram.data_points:
                    labels = {a.key: a.value.string_value for a in point.attributes}
                    if metric.name == "trading.stage.duration":
                        sums[labels["stage"], of["service.instance.id"]] += point.sum
        self.seconds.update(sums)
        return super().take_metrics(body)

    def take_logs(self, body: bytes) -> Message:
        """Keep the severities too."""
        request = ExportLogsServiceRequest()
        request.ParseFromString(body)
        for group in request.resource_logs:
            for scope in group.scope_logs:
                self.severities.update(r.severity_text for r in scope.log_records)
        return super().take_logs(body)

    def work(self, stage: str) -> float:
        """Seconds of work of a stage, over all processes."""
        return sum(total for (name, _), total in self.seconds.items() if name == stage)

    def move(self, port: int, only: str = "") -> None:
        """Listen on a given port, and perhaps at one path only; before it is started."""
        server = self._receiver._server
        server.server_close()
        server.socket = socket.socket()
        server.allow_reuse_address = True
        server.server_address = ("127.0.0.1", port)
        server.server_bind()
        server.server_activate()
        if only:
            server.takers = {only: server.takers[only]}
