"""From OTLP messages to the records of `protocol`; and the sums kept of metrics."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality, Metric
from opentelemetry.proto.trace.v1.trace_pb2 import Span as SpanMessage

from tradespan.backends.protocol import LogLine, Span

SERVICE_NAME = "service.name"
_KINDS = ("internal", "internal", "server", "client", "producer", "consumer")
_STATUSES = ("unset", "ok", "error")


def spans(request: ExportTraceServiceRequest) -> Iterator[Span]:
    """The spans of one export request."""
    for group in request.resource_spans:
        resource = _attributes(group.resource.attributes)
        service = str(resource.get(SERVICE_NAME, ""))
        for scope in group.scope_spans:
            for message in scope.spans:
                yield _span(message, service, resource)


def _span(message: SpanMessage, service: str, resource: Mapping[str, object]) -> Span:
    return Span(
        trace_id=message.trace_id.hex(),
        span_id=message.span_id.hex(),
        parent_id=message.parent_span_id.hex() or None,
        name=message.name,
        kind=_pick(_KINDS, message.kind),
        service=service,
        start_ns=message.start_time_unix_nano,
        end_ns=message.end_time_unix_nano,
        status=_pick(_STATUSES, message.status.code),
        attributes=_attributes(message.attributes),
        resource=resource,
    )


def log_lines(request: ExportLogsServiceRequest) -> Iterator[tuple[Mapping[str, object], LogLine]]:
    """The log records of one export request, each with its resource."""
    for group in request.resource_logs:
        resource = _attributes(group.resource.attributes)
        service = str(resource.get(SERVICE_NAME, ""))
        for scope in group.scope_logs:
            for record in scope.log_records:
                yield (
                    resource,
                    LogLine(
                        time_ns=record.time_unix_nano or record.observed_time_unix_nano,
                        service=service,
                        body=str(_value(record.body)),
                        trace_id=record.trace_id.hex() or None,
                        span_id=record.span_id.hex() or None,
                        attributes=_attributes(record.attributes),
                    ),
                )


Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Point:
    """One counted value: a counter's sum or a histogram's count, and what tells its stream apart.

    `labels` are the resource's and the data point's attributes, the data point's word winning;
    `start_ns` and `time_ns` are the interval it covers, in nanoseconds since the epoch.
    """

    metric: str
    labels: Labels
    start_ns: int
    time_ns: int
    value: float
    is_delta: bool


def points(request: ExportMetricsServiceRequest) -> Iterator[Point]:
    """The counted values of one export request; gauges and summaries are left out."""
    for group in request.resource_metrics:
        resource = _attributes(group.resource.attributes)
        for scope in group.scope_metrics:
            for metric in scope.metrics:
                yield from _points(metric, resource)


def _points(metric: Metric, resource: Mapping[str, object]) -> Iterator[Point]:
    delta = AggregationTemporality.AGGREGATION_TEMPORALITY_DELTA
    if metric.HasField("sum"):
        is_delta = metric.sum.aggregation_temporality == delta
        for number in metric.sum.data_points:
            whole = number.HasField("as_int")
            value = float(number.as_int) if whole else number.as_double
            labels = _labels(resource, number.attributes)
            start, time = number.start_time_unix_nano, number.time_unix_nano
            yield Point(metric.name, labels, start, time, value, is_delta)
        return
    for kind in (metric.histogram, metric.exponential_histogram):
        is_delta = kind.aggregation_temporality == delta
        for bucket in kind.data_points:
            labels = _labels(resource, bucket.attributes)
            start, time = bucket.start_time_unix_nano, bucket.time_unix_nano
            yield Point(metric.name, labels, start, time, float(bucket.count), is_delta)


class Sums:
    """Totals of counters and histogram counts, from cumulative or delta points.

    A cumulative stream is told apart by its labels (with `service.instance.id`) and its start
    time, so that a restarted process begins a stream of its own and both are added up; of each
    stream the newest point counts. Not safe for threads: the owner locks.

    Arguments:
        limit: number of streams kept; a new stream above it is refused.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._streams: dict[tuple[str, Labels, int], Point] = {}

    def add(self, point: Point) -> bool:
        """Take one point in. Returns False when it was refused because the limit is reached."""
        key = (point.metric, point.labels, 0 if point.is_delta else point.start_ns)
        known = self._streams.get(key)
        if known is None:
            if len(self._streams) >= self._limit:
                return False
            self._streams[key] = point
        elif point.is_delta:
            total = known.value + point.value
            self._streams[key] = Point(*key[:2], known.start_ns, point.time_ns, total, True)
        elif point.time_ns >= known.time_ns:
            self._streams[key] = point
        return True

    def total(
        self, metric: str, by: Sequence[str], where: Mapping[str, str]
    ) -> dict[tuple[str, ...], int]:
        """See `Backend.total`."""
        found: dict[tuple[str, ...], float] = {}
        for point in self._streams.values():
            if point.metric != metric:
                continue
            labels = dict(point.labels)
            if any(labels.get(key) != value for key, value in where.items()):
                continue
            group = tuple(labels.get(key, "") for key in by)
            found[group] = found.get(group, 0.0) + point.value
        return {group: round(value) for group, value in found.items()}


def _labels(resource: Mapping[str, object], attributes: Iterable[KeyValue]) -> Labels:
    merged = {**resource, **_attributes(attributes)}
    return tuple(sorted((key, _text(value)) for key, value in merged.items()))


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _attributes(pairs: Iterable[KeyValue]) -> dict[str, object]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> object:
    kind = value.WhichOneof("value")
    if kind is None:
        return ""
    if kind == "array_value":
        return [_value(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return _attributes(value.kvlist_value.values)
    if kind == "bytes_value":
        return value.bytes_value.hex()
    found: object = getattr(value, kind)
    return found


def _pick(words: Sequence[str], index: int) -> str:
    return words[index] if 0 <= index < len(words) else words[0]
