"""/metrics in this process: what stands there, that parsers read it, and what cannot break it."""

from __future__ import annotations

import gzip
import logging
import math
import threading
from collections import Counter as Tally
from collections.abc import Callable, Iterator
from typing import Any

import prometheus_client
import pytest
from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as plain

import tradespan
from tradespan import guard, instruments
from tradespan.export.endpoints import merge
from tradespan.export.endpoints.answer import Answer, answer
from tradespan.export.endpoints.collect import collector
from tradespan.export.endpoints.scrape import Scrapes
from tradespan.semconv import metrics as registry

OPEN = "application/openmetrics-text; version=1.0.0"
RESOURCE = {
    "service.name": "risk", "service.instance.id": "one", "trading.mode": "replay", "host.name": "h"
}  # fmt: skip
ON_ALL = {"service_name": "risk", "service_instance_id": "one", "trading_mode": "replay"}

Scrape = Callable[..., Answer]


def the_tests_own() -> Any:
    """The provider that the test's telemetry goes through."""
    return metrics.get_meter_provider().current  # type: ignore[attr-defined]


class Scraped:
    """A meter provider of the test's own, and its /metrics."""

    def __init__(self, *views: View) -> None:
        self.provider = MeterProvider(
            [InMemoryMetricReader()], Resource(RESOURCE), shutdown_on_exit=False, views=views
        )
        self.scrapes = Scrapes(collector(self.provider), patience=20)
        self.meter = self.provider.get_meter("hostile")

    def ask(self, query: str = "", **headers: str) -> Answer:
        """GET /metrics."""
        return answer("/metrics", query, headers, self.scrapes.families)

    def families(self, **headers: str) -> dict[str, Metric]:
        """Its families by name, as a parser reads them."""
        reply = self.ask(**headers)
        assert reply.status == 200, reply.body
        parse = open_metrics if OPEN in headers.values() else plain
        found = list(parse(reply.body.decode()))
        assert max(Tally(family.name for family in found).values()) == 1
        return {family.name: family for family in found}

    def value(self, name: str, **labels: str) -> float | None:
        """The value of one sample, by the labels beside those of the resource."""
        found = [
            sample.value
            for family in self.families().values()
            for sample in family.samples
            if sample.name == name and sample.labels in (labels, {**ON_ALL, **labels})
        ]
        assert len(found) <= 1
        return found[0] if found else None


@pytest.fixture(autouse=True)
def _nothing_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merge, "_said", set())
    monkeypatch.setattr(guard, "strict", True)


@pytest.fixture
def scraped() -> Scraped:
    """A provider that is scraped."""
    return Scraped()


@pytest.fixture
def application() -> Iterator[Callable[..., Any]]:
    """Makes metrics in prometheus_client's default registry; they are gone after the test."""
    made: list[Any] = []

    def make(kind: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        made.append(kind(*args, **kwargs))
        return made[-1]

    yield make
    for one in made:
        prometheus_client.REGISTRY.unregister(one)


def test_the_registrys_metrics(telemetry: Any) -> None:
    """Name, type, HELP and labels are the registry's; no scope labels, no target_info."""
    families = Scrapes(collector(the_tests_own())).families
    with tradespan.risk() as risk:
        risk.reject("too big", score=0.9, level="high")
    text = answer("/metrics", "", {}, families).body.decode()
    brief = registry.RISK_ASSESSMENTS.brief
    assert f"# HELP risk_assessments_total {brief}\n" in text
    assert "# TYPE risk_assessments_total counter\n" in text
    assert 'risk_scores_bucket{le="1.0"' in text
    assert "otel_scope" not in text
    assert "target_info" not in text
    found = {family.name: family for family in plain(text)}
    (one,) = [s for s in found["risk_assessments"].samples if s.value]
    assert set(one.labels) - {"service_name", "service_instance_id"} <= {"decision", "trading_mode"}
    assert one.labels["decision"] == "rejected"


def test_resource_labels(scraped: Scraped) -> None:
    """Every series carries service, instance and mode, and nothing else of the resource."""
    scraped.meter.create_counter("orders").add(2, {"side": "buy"})
    (sample,) = scraped.families()["orders"].samples
    assert sample.labels == {**ON_ALL, "side": "buy"}


def test_ten_scrapes_after_ten_flushes(scraped: Scraped) -> None:
    """force_flush of the provider puts nothing into the next scrape; each family stands once."""
    orders = scraped.meter.create_counter("orders")
    for number in range(1, 11):
        orders.add(1)
        scraped.provider.force_flush()
        assert scraped.value("orders_total") == number


def test_scrapes_at_once(scraped: Scraped) -> None:
    """Scrapes that come together are served one after the other, none with a family twice."""
    scraped.meter.create_counter("orders").add(1)
    seen: list[float | None] = []
    asking = [
        threading.Thread(target=lambda: seen.append(scraped.value("orders_total")))
        for _ in range(20)
    ]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    assert seen == [1.0] * 20


def test_both_formats(scraped: Scraped, application: Callable[..., Any]) -> None:
    """Prometheus' text and OpenMetrics say the same, the application's metrics included."""
    application(prometheus_client.Counter, "app_orders", "own", ["side"]).labels("buy").inc()
    application(prometheus_client.Info, "app_build", "own").info({"version": "1"})
    scraped.meter.create_counter("orders", unit="{order}", description="Orders.").add(1)
    scraped.meter.create_histogram("work", unit="s", description="Work.").record(0.2)
    scraped.meter.create_gauge("depth", unit="{entry}", description="Depth.").set(3)
    assert scraped.ask(accept=OPEN).headers[0][1].startswith("application/openmetrics-text")
    names = {"orders", "work_seconds", "depth", "app_orders"}
    assert names | {"app_build_info"} <= set(scraped.families())
    found = scraped.families(accept=OPEN)
    assert names | {"app_build"} <= set(found)
    assert (found["work_seconds"].unit, found["orders"].documentation) == ("seconds", "Orders.")
    assert gzip.decompress(scraped.ask(**{"accept-encoding": "gzip"}).body).startswith(b"# HELP")


def test_one_family_alone(scraped: Scraped) -> None:
    """`name[]` restricts a scrape, as with prometheus_client."""
    scraped.meter.create_counter("orders").add(1)
    body = scraped.ask("name[]=orders_total").body.decode()
    assert [line.split(" ")[2] for line in body.splitlines() if line.startswith("# TYPE")] == [
        "orders_total"
    ]


@pytest.mark.parametrize(
    ("kind", "theirs", "ours"),
    [
        (prometheus_client.Counter, "orders", "orders"),
        (prometheus_client.Gauge, "orders_total", "orders"),
        (prometheus_client.Histogram, "orders", "orders"),
    ],
)
def test_the_applications_name_wins(
    kind: Any,
    theirs: str,
    ours: str,
    scraped: Scraped,
    application: Callable[..., Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A name that the application exposes is its own; ours is left out, and said once."""
    application(kind, theirs, "the application's")
    scraped.meter.create_counter(ours, description="ours").add(5)
    scraped.meter.create_counter("trades").add(1)
    for _ in range(3):
        text = scraped.ask().body.decode()
        assert "the application's" in text
        assert "ours" not in text
        assert "trades_total" in text
    (record,) = [r for r in caplog.records if r.levelno == logging.WARNING]
    assert record.getMessage().endswith("win over ours of the same name: orders")


def test_a_collector_of_the_applications_that_fails(
    scraped: Scraped, application: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ours are scraped all the same, and the failure is counted."""
    monkeypatch.setattr(guard, "strict", False)

    class Broken:
        def describe(self) -> list[Metric]:
            return []

        def collect(self) -> list[Metric]:
            raise RuntimeError("broken")

    broken = Broken()
    prometheus_client.REGISTRY.register(broken)
    application(lambda: broken)
    scraped.meter.create_counter("orders").add(1)
    before = guard.failures["metrics.application"]
    assert scraped.value("orders_total") == 1
    assert guard.failures["metrics.application"] > before


HOSTILE = [
    "line\nbreak", 'quo"te', "back\\slash", "x" * 10_000, "", "ü€😀", "\udce4", "\x00\x1b[31m",
    "\r", "} 1\n# TYPE up gauge\nup 1",
]  # fmt: skip


@pytest.mark.parametrize("accept", ["", OPEN])
def test_hostile_label_values(accept: str, scraped: Scraped) -> None:
    """Whatever a label says, parsers read the whole, and each value stands there once."""
    orders = scraped.meter.create_counter("orders", description='hel\np "\\')
    for value in HOSTILE:
        orders.add(1, {"symbol": value})
    samples = scraped.families(accept=accept)["orders"].samples
    written = {value.encode("utf-8", "replace").decode() for value in HOSTILE}
    assert {sample.labels["symbol"] for sample in samples} == written
    assert [sample.value for sample in samples] == [1.0] * len(HOSTILE)


def test_hostile_label_names(scraped: Scraped) -> None:
    """A label whose name no parser reads is left out; two that become one name are one."""
    depth = scraped.meter.create_gauge("depth")
    depth.set(1, {"": "x", "a b": "y", "1st": "z", "le": "w"})
    scraped.meter.create_counter("orders").add(1, {"a.b": "x"})
    scraped.meter.create_counter("orders").add(1, {"a_b": "x"})
    (sample,) = scraped.families()["depth"].samples
    assert sample.labels == {**ON_ALL, "a_b": "y", "_st": "z", "le": "w"}
    assert scraped.value("orders_total", a_b="x") == 2


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 10**300, -1])
def test_hostile_values(value: float, scraped: Scraped) -> None:
    """A value that is no number, endless or negative breaks nothing."""
    scraped.meter.create_gauge("depth").set(value)
    scraped.meter.create_counter("orders").add(value)
    scraped.meter.create_histogram("work").record(value)
    scraped.meter.create_counter("trades").add(1)
    for accept in ("", OPEN):
        assert "trades" in scraped.families(accept=accept)


def test_one_name_in_two_libraries(scraped: Scraped) -> None:
    """What two libraries count under one name is one family; each keeps its own labels."""
    first, second = (scraped.provider.get_meter(name) for name in ("httpx", "requests"))
    first.create_counter("calls", description="a").add(1, {"host": "x"})
    second.create_counter("calls", description="b").add(2, {"host": "x"})
    second.create_counter("calls", description="b").add(4, {"code": "500"})
    found = {
        tuple(sorted(set(s.labels.items()) - set(ON_ALL.items()))): s.value
        for s in scraped.families()["calls"].samples
    }
    assert found == {
        (("host", "x"),): 1.0,
        (("code", ""), ("host", "x")): 2.0,
        (("code", "500"), ("host", "")): 4.0,
    }


def test_the_same_series_in_two_libraries(scraped: Scraped) -> None:
    """The same labels too: counters and histograms are summed, a gauge is the later one's."""
    for number, name in enumerate(("httpx", "requests"), 1):
        meter = scraped.provider.get_meter(name)
        meter.create_counter("calls").add(number)
        meter.create_gauge("depth").set(number)
        meter.create_histogram("work").record(number)
    assert scraped.value("calls_total") == 3
    assert scraped.value("depth") == 2
    assert scraped.value("work_count") == 2
    assert scraped.value("work_sum") == 3


def test_what_cannot_be_merged_costs_itself_alone(
    scraped: Scraped, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One name with two types, or two sets of buckets: the first stands, the failure is counted."""
    monkeypatch.setattr(guard, "strict", False)
    first, second = (scraped.provider.get_meter(name) for name in ("httpx", "requests"))
    first.create_gauge("depth").set(1)
    second.create_histogram("depth").record(7)
    first.create_histogram("work", explicit_bucket_boundaries_advisory=[1.0]).record(1)
    second.create_histogram("work", explicit_bucket_boundaries_advisory=[2.0]).record(1)
    assert scraped.value("depth") == 1
    assert scraped.value("work_count") == 1
    assert guard.failures["metrics.merge"] > 0


def test_an_exponential_histogram_costs_itself_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Upstream's exporter cannot say it; the others are scraped."""
    monkeypatch.setattr(guard, "strict", False)
    view = View(instrument_name="work", aggregation=ExponentialBucketHistogramAggregation())
    scraped = Scraped(view)
    scraped.meter.create_histogram("work").record(1)
    scraped.meter.create_counter("orders").add(1)
    assert set(scraped.families()) >= {"orders"}
    assert "work" not in scraped.families()


def test_a_callback_that_blocks(scraped: Scraped) -> None:
    """Whoever asks is told after a while, no threads pile up, and afterwards all is well."""
    free = threading.Event()

    def block(_: CallbackOptions) -> list[Observation]:
        free.wait(60)
        return [Observation(1)]

    scraped.meter.create_observable_gauge("depth", [block])
    scraped.scrapes._patience = 0.05
    before = threading.active_count()
    for _ in range(5):
        reply = scraped.ask()
        assert reply.status == 503
        assert b"blocks" in reply.body
    assert threading.active_count() == before + 1
    assert scraped.scrapes.facts()["blocked"] is True
    scraped.scrapes._patience = 20
    free.set()
    assert scraped.value("depth") == 1
    assert scraped.scrapes.facts() == {"blocked": False, "trouble": []}


def test_a_callback_that_raises(scraped: Scraped) -> None:
    """It costs its own metric."""

    def fail(_: CallbackOptions) -> list[Observation]:
        raise RuntimeError("no depth")

    scraped.meter.create_observable_gauge("depth", [fail])
    scraped.meter.create_counter("orders").add(1)
    assert scraped.value("orders_total") == 1
    assert "depth" not in scraped.families()


def test_a_hundred_thousand_symbols(telemetry: Any) -> None:
    """The limit holds on /metrics too, and what is over it is one series."""
    families = Scrapes(collector(the_tests_own())).families
    for number in range(100_000):
        instruments.record(registry.ORDER_PRECISION_ERRORS, 1, {"symbol": f"S{number}"})
    found = {f.name: f for f in plain(answer("/metrics", "", {}, families).body.decode())}
    samples = found["order_precision_errors"].samples
    assert len(samples) == 201
    (other,) = [s.value for s in samples if s.labels["symbol"] == "other"]
    assert other == 100_000 - 200
    (over,) = [s.value for s in found["tradespan_telemetry_overflow"].samples if s.value]
    assert over == other


@pytest.mark.parametrize(
    ("path", "status"), [("/metrics", 200), ("/metrics/", 200), ("/", 200), ("/metricsx", 404)]
)
def test_paths(path: str, status: int, scraped: Scraped) -> None:
    """What is asked stands at the end of the path."""
    assert answer(path, "", {}, scraped.scrapes.families).status == status


def test_a_failure_of_ours_is_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """500 and a reason, nothing raised."""
    monkeypatch.setattr(guard, "failures", Tally[str]())

    def fail() -> list[Metric]:
        raise RuntimeError("broken")

    reply = answer("/metrics", "", {}, fail)
    assert (reply.status, reply.body) == (500, b"telemetry failed: RuntimeError\n")
