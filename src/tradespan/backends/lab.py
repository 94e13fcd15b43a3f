"""The `Backend` protocol answered by Prometheus, Jaeger and Loki over their query APIs."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence

from tradespan.backends import jaeger, loki, prometheus
from tradespan.backends.http import Endpoint
from tradespan.backends.protocol import BackendError, LogLine, Span
from tradespan.semconv.attributes import TRADING_SIGNAL_ID

_NS = 1_000_000_000
_AHEAD_S = 60  # clocks of services may be ahead of ours by as much


class LabBackend:
    """Ask the three real backends.

    Arguments:
        prometheus: base address, such as `http://127.0.0.1:9090`.
        jaeger: base address of its query service, such as `http://127.0.0.1:16686`.
        loki: base address, such as `http://127.0.0.1:3100`.
        window_s: how far back every question reaches, in seconds.
        timeout_s: seconds that one request may take.
    """

    name = "lab"

    def __init__(
        self,
        *,
        prometheus: str,
        jaeger: str,
        loki: str,
        window_s: int = 6 * 3600,
        timeout_s: float = 10.0,
    ) -> None:
        self._prometheus = Endpoint("Prometheus", prometheus, timeout_s)
        self._jaeger = Endpoint("Jaeger", jaeger, timeout_s)
        self._loki = Endpoint("Loki", loki, timeout_s)
        self._window_s = window_s

    def spans(self, namespace: str) -> Sequence[Span]:
        """See `Backend.spans`."""
        found = self._traces({"service.namespace": namespace})
        return [span for span in found if span.resource.get("service.namespace") == namespace]

    def journey(self, signal_id: str) -> Sequence[Span]:
        """See `Backend.journey`."""
        found = self._traces({TRADING_SIGNAL_ID: signal_id})
        return [span for span in found if span.signal_id == signal_id]

    def total(
        self,
        metric: str,
        *,
        by: Sequence[str] = (),
        where: Mapping[str, str] | None = None,
    ) -> dict[tuple[str, ...], int]:
        """See `Backend.total`. The metric must be in the registry (its unit is in its name)."""
        query = prometheus.total_query(metric, by, where or {}, self._window_s)
        return self._prometheus.get(
            "/api/v1/query", {"query": query}, lambda answer: prometheus.totals(answer, by)
        )

    def logs(self, namespace: str) -> Sequence[LogLine]:
        """See `Backend.logs`."""
        return self.query_logs(f"{{service_namespace={json.dumps(namespace)}}}")

    def query_logs(self, query: str) -> list[LogLine]:
        """All lines that a LogQL query selects, oldest first, read page by page."""
        start, end = self._bounds()
        found: dict[str, LogLine] = {}
        while True:
            parameters = {
                "query": query,
                "start": str(start),
                "end": str(end),
                "limit": str(loki.PAGE),
                "direction": "forward",
            }
            page = self._loki.get("/loki/api/v1/query_range", parameters, loki.lines)
            found.update((repr(line), line) for line in page)
            if len(page) < loki.PAGE:
                return sorted(found.values(), key=lambda line: line.time_ns)
            newest = max(line.time_ns for line in page)
            if newest == start:
                what = f"Loki holds more than {loki.PAGE} lines of one instant"
                hint = "ask for less with a narrower query"
                raise BackendError(what, where=self._loki.address, hint=hint)
            start = newest  # the page's last instant may go on

    def _traces(self, tags: Mapping[str, str]) -> list[Span]:
        start, end = (bound // 1000 for bound in self._bounds())
        found: dict[tuple[str, str], Span] = {}
        for service in self._jaeger.get("/api/services", {}, jaeger.services):
            for trace in self._of_service(service, tags, start, end):
                found.update(((span.trace_id, span.span_id), span) for span in trace)
        return list(found.values())

    def _of_service(
        self, service: str, tags: Mapping[str, str], start_us: int, end_us: int
    ) -> list[list[Span]]:
        """Traces of one service; a window that holds more than one answer may is halved."""
        parameters = {
            "service": service,
            "tags": json.dumps(tags),
            "start": str(start_us),
            "end": str(end_us),
            "limit": str(jaeger.PAGE),
        }
        traces = self._jaeger.get("/api/traces", parameters, jaeger.traces)
        if len(traces) < jaeger.PAGE or end_us - start_us < 2:
            return traces
        middle = (start_us + end_us) // 2
        earlier = self._of_service(service, tags, start_us, middle)
        return earlier + self._of_service(service, tags, middle, end_us)

    def _bounds(self) -> tuple[int, int]:
        now = time.time_ns()
        return now - self._window_s * _NS, now + _AHEAD_S * _NS
