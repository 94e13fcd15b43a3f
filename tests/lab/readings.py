"""Three readings of what running services emit: their pages, their OTLP, and Prometheus."""

from __future__ import annotations

import json
import re
import threading
import urllib.parse
import urllib.request
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from google.protobuf.message import Message
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from tradespan.backends.receiver import Receiver

from ..support.catalogue import CATALOGUE

SCOPE = "tradespan"
RESOURCE = {"service_name", "service_instance_id", "trading_mode"}
"""Labels that every series has beside its own."""


@dataclass
class Emitted:
    """One metric as it was met, over all processes: each fact must be the same everywhere."""

    types: set[str] = field(default_factory=set)
    texts: set[str] = field(default_factory=set)
    units: set[str] = field(default_factory=set)
    labels: set[frozenset[str]] = field(default_factory=set)
    parts: set[str] = field(default_factory=set)
    """Endings of the name in Prometheus: those of a histogram, or none."""
    moved: bool = False


Reading = dict[str, Emitted]


def entry_of(name: str, key: str = "prometheus") -> Mapping[str, Any] | None:
    """What the catalogue has under a name, its template of names included; None: undocumented."""
    for entry in CATALOGUE:
        stem, star, _ = entry[key].partition("*")
        if name == entry[key] or (star and name.startswith(stem)):
            found: Mapping[str, Any] = entry
            return found
    return None


def as_label(name: str) -> str:
    """An OpenTelemetry name as Prometheus writes it."""
    return re.sub(r"\W", "_", name)


class Tee:
    """Takes OTLP over HTTP, remembers the metrics, and hands everything on.

    Arguments:
        onward: base address of the next receiver.
    """

    def __init__(self, onward: str) -> None:
        self._onward = onward
        self._lock = threading.Lock()
        self._ours: Reading = defaultdict(Emitted)
        self._foreign: set[str] = set()
        paths = ("/v1/metrics", "/v1/traces", "/v1/logs")
        self._receiver = Receiver({p: self._taker(p) for p in paths}, limit=64_000_000)
        self.address = self._receiver.address

    def __enter__(self) -> Tee:
        self._receiver.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._receiver.stop()

    def ours(self) -> Reading:
        """What came under our scope until now, with the labels as Prometheus writes them."""
        with self._lock:
            return {
                name: replace(met, labels={frozenset(map(as_label, keys)) for keys in met.labels})
                for name, met in self._ours.items()
            }

    def foreign(self) -> Callable[[str], bool]:
        """Tells whether a Prometheus name came under another scope."""
        with self._lock:
            stems = tuple(map(as_label, self._foreign))
        return lambda name: bool(stems) and name.startswith(stems)

    def _taker(self, path: str) -> Callable[[bytes], Message]:
        def take(body: bytes) -> Message:
            if path == "/v1/metrics":
                self._read(ExportMetricsServiceRequest.FromString(body))
            kind = {"content-type": "application/x-protobuf"}
            request = urllib.request.Request(f"{self._onward}{path}", body, kind)
            urllib.request.urlopen(request, timeout=30).close()
            return ExportMetricsServiceResponse()  # empty, as those of the other two are

        return take

    def _read(self, request: ExportMetricsServiceRequest) -> None:
        with self._lock:
            for group in (s for r in request.resource_metrics for s in r.scope_metrics):
                for metric in group.metrics:
                    if group.scope.name == SCOPE:
                        read_otlp(metric, self._ours[metric.name])
                    else:
                        self._foreign.add(metric.name)


def read_otlp(metric: Metric, into: Emitted) -> None:
    """Add what one metric of an export says."""
    kind = metric.WhichOneof("data")
    assert kind is not None, metric.name
    data = getattr(metric, kind)
    rising = kind == "sum" and data.is_monotonic
    into.types.add("counter" if rising else "gauge" if kind == "sum" else kind)
    into.texts.add(metric.description)
    into.units.add(metric.unit)
    for point in data.data_points:
        into.labels.add(frozenset(a.key for a in point.attributes))
        value = point.count if kind == "histogram" else point.as_double or point.as_int
        into.moved |= bool(value)


def targets(folder: Path) -> list[str]:
    """HOST:PORT of every process, as Prometheus' file discovery finds them."""
    found = (json.loads(file.read_text()) for file in sorted(folder.glob("*.json")))
    return [target for groups in found for group in groups for target in group["targets"]]


def fetch(url: str, **headers: str) -> str:
    """The text at an address."""
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=30) as answer:
        text: str = answer.read().decode()
    return text


def read_page(text: str, into: Reading, foreign: Callable[[str], bool]) -> None:
    """Add what one page of /metrics says of our metrics; each family stands there once."""
    heads = Counter(line.split()[2] for line in text.splitlines() if line.startswith("# TYPE "))
    assert set(heads.values()) <= {1}, [name for name, times in heads.items() if times > 1]
    for family in text_string_to_metric_families(text):
        name = family.name + "_total" * (family.type == "counter")
        ours = [s for s in family.samples if "service_instance_id" in s.labels]
        if not ours or foreign(name):
            continue
        one = into[name]
        one.types.add(family.type)
        one.texts.add(family.documentation)
        one.labels |= {frozenset(s.labels) - RESOURCE - {"le"} for s in ours}


def read_openmetrics(text: str) -> int:
    """How many families an OpenMetrics parser reads; raises ValueError for what is none."""
    return sum(1 for _ in openmetrics.text_string_to_metric_families(text))


def read_prometheus(base: str, match: str, foreign: Callable[[str], bool]) -> Reading:
    """What Prometheus has of our metrics.

    Arguments:
        base: its address.
        match: selector of the series.
        foreign: whether a name is somebody else's.
    """
    query = urllib.parse.urlencode({"match[]": match})
    found: Reading = defaultdict(Emitted)
    for series in json.loads(fetch(f"{base}/api/v1/series?{query}"))["data"]:
        name, labels = series.pop("__name__"), frozenset(series)
        if name == "target_info" or foreign(name):
            continue
        assert labels >= RESOURCE, (name, labels)
        own = labels - RESOURCE - {"instance", "job", "service_namespace", "le"}
        stem = next((s for s in _stems(name) if entry_of(s)), name)
        found[stem].labels.add(own)
        found[stem].parts.add(name.removeprefix(stem))
    return found


def _stems(name: str) -> Iterator[str]:
    """The name, and that of the histogram whose part it may be."""
    yield name
    yield from (name.removesuffix(end) for end in ("_bucket", "_sum", "_count"))
