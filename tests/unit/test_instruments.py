"""The registry's instruments: zero points, bounded labels, and no number that hurts."""

from __future__ import annotations

import itertools
import math
import random
from decimal import Decimal
from enum import Enum
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics

from tradespan import guard, instruments, readings
from tradespan import settings as setting
from tradespan.semconv import metrics
from tradespan.semconv.attributes import ENUMS, LIMITS
from tradespan.semconv.metrics import METRICS
from tradespan.semconv.model import Metric
from tradespan.settings import Settings

COUNTERS = [m for m in METRICS if m.kind == "counter"]


def words(metric: Metric, key: str) -> tuple[str, ...] | None:
    """Declared values of a metric's attribute."""
    return metric.values.get(key) or ENUMS.get(key)


ENUMERATED = [m for m in COUNTERS if m.attributes and all(words(m, k) for k in m.attributes)]


@pytest.mark.parametrize("metric", METRICS, ids=lambda m: m.name)
def test_every_attribute_is_bounded(metric: Metric) -> None:
    """Each metric attribute has declared values or a limit, and no id among them."""
    for key in metric.attributes:
        assert words(metric, key) or LIMITS.get(key)
        assert "id" not in key.split("_")
        assert "." not in key


@pytest.mark.parametrize("metric", METRICS, ids=lambda m: m.name)
def test_every_metric_has_what_it_needs(metric: Metric) -> None:
    """A unit and a help text; boundaries where it is a histogram, rising and all floats."""
    assert metric.unit
    assert metric.brief.endswith(".")
    assert (metric.boundaries is not None) == (metric.kind == "histogram")
    bounds = metric.boundaries or ()
    assert list(bounds) == sorted(set(bounds))
    assert all(isinstance(b, float) for b in bounds)
    if metric.unit == "1":
        assert metric.kind == "histogram"


def test_names_are_distinct() -> None:
    """One name, one unit and one bucket set; none is also an attribute key."""
    names = [m.name for m in METRICS]
    assert len(names) == len(set(names))
    assert not set(names) & {k for m in METRICS for k in m.attributes}


@pytest.mark.parametrize("metric", ENUMERATED, ids=lambda m: m.name)
def test_counters_stand_at_zero_when_their_room_is_opened(telemetry: Any, metric: Metric) -> None:
    """Each declared combination has its point at 0, so that the first event shows as a rise."""
    instruments.open_room(metric.room)
    points = telemetry.metric(metric.name)
    found = {tuple(p.labels[k] for k in metric.attributes): p.value for p in points}
    expected = itertools.product(*(words(metric, k) or () for k in metric.attributes))
    assert found == dict.fromkeys(expected, 0)


@pytest.mark.parametrize(
    "metric",
    [metrics.TRADING_JOURNEY_BEGUN, metrics.TRADING_JOURNEY_BROKEN,
     metrics.TRADING_JOURNEY_FOREIGN, metrics.TRADING_JOURNEY_REDELIVERED],
    ids=lambda m: m.name,
)  # fmt: skip
def test_counters_by_pipeline_stand_at_zero_too(telemetry: Any, metric: Metric) -> None:
    """The process's own pipeline counts as declared once it is known."""
    instruments.know("pipeline", "crypto")
    try:
        instruments.open_room(metric.room)
        _, key = metric.attributes
        found = {(p.labels["pipeline"], p.labels[key]): p.value for p in
                 telemetry.metric(metric.name)}  # fmt: skip
        assert found == {("crypto", word): 0 for word in words(metric, key) or ()}
    finally:
        instruments._known.clear()


def test_opening_a_room_again_changes_nothing(telemetry: Any) -> None:
    """A room is opened once; what was counted stays."""
    instruments.record(metrics.RISK_ASSESSMENTS, 1, {"decision": "approved"})
    instruments.open_room("risk")
    assert telemetry.total("risk_assessments", decision="approved") == 1


def test_only_the_room_asked_for_is_opened(telemetry: Any) -> None:
    """A risk service shows no zeros of the executor's."""
    instruments.open_room("risk")
    assert telemetry.metric("risk_assessments")
    assert telemetry.metric("llm_validations") == []


@pytest.mark.parametrize("metric", METRICS, ids=lambda m: m.name)
def test_every_metric_can_be_recorded(
    telemetry: Any, metric: Metric, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each instrument of the registry takes a value with its labels, and exports them exactly."""
    monkeypatch.setattr(readings, "_observed", {})
    labels = {k: (words(metric, k) or ("a",))[0] for k in metric.attributes}
    if metric.observed:
        readings.observe(metric, lambda: {tuple(labels.values()): 1.0})
        instruments.open_room(metric.room)
    else:
        instruments.record(metric, 1.0, {**labels, "undeclared": "x"})
    points = [p for p in telemetry.metric(metric.name, **labels) if p.value or p.count]
    assert [p.labels for p in points] == [labels]


def test_what_cannot_be_asked_costs_only_itself(
    telemetry: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A value that fails when it is exported is counted; all others are exported."""
    monkeypatch.setattr(guard, "strict", False)
    monkeypatch.setitem(readings._observed, metrics.SYSTEM_UPTIME.name, lambda: 1 / 0)
    instruments.open_room(metrics.SYSTEM_UPTIME.room)
    instruments.record(metrics.KILL_SWITCH_STATUS, 1)
    assert telemetry.metric("system_uptime") == []
    assert telemetry.last("kill_switch_status") == 1
    assert guard.failures["instruments.ask"] == 2, "once for each of the two exports"


def test_symbols_over_the_limit_become_other(telemetry: Any) -> None:
    """Beyond the limit all new symbols share `other`, known ones go on, and each is counted."""
    for n in range(LIMITS["symbol"] + 5):
        instruments.record(metrics.ORDER_PRECISION_ERRORS, 1, {"symbol": f"S{n}"})
    instruments.record(metrics.ORDER_PRECISION_ERRORS, 1, {"symbol": "S0"})
    assert telemetry.total("order_precision_errors", symbol="other") == 5
    assert telemetry.total("order_precision_errors", symbol="S0") == 2
    assert telemetry.total("tradespan.telemetry.overflow", attribute="symbol") == 5
    assert len({p.labels["symbol"] for p in telemetry.metric("order_precision_errors")}) == (
        LIMITS["symbol"] + 1
    )


def test_the_limit_can_be_set(telemetry: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The user's own limit of symbols holds."""
    monkeypatch.setattr(setting, "current", Settings(symbol_limit=2))
    for symbol in ("A", "B", "C", "D", "A"):
        instruments.record(metrics.ORDER_PRECISION_ERRORS, 1, {"symbol": symbol})
    assert telemetry.total("order_precision_errors", symbol="A") == 2
    assert telemetry.total("order_precision_errors", symbol="other") == 2


@pytest.mark.parametrize("value", ["APPROVE", "", "approved.", 1, "approve\n", ["approved"]])
def test_an_undeclared_value_becomes_other(telemetry: Any, value: Any) -> None:
    """An enum takes its declared values only; everything else is `other`, and counted."""
    instruments.record(metrics.RISK_ASSESSMENTS, 1, {"decision": value})
    assert telemetry.total("risk_assessments", decision="other") == 1
    assert telemetry.total("tradespan.telemetry.overflow", attribute="decision") == 1


class Verdict(Enum):
    """As trading code has it."""

    APPROVED = "APPROVED"


@pytest.mark.parametrize("value", ["approved", "Approved", " approved\n", Verdict.APPROVED])
def test_a_declared_value_in_any_writing(telemetry: Any, value: Any) -> None:
    """Enums by their value, and any case of letters: whatever door it comes through."""
    instruments.record(metrics.RISK_ASSESSMENTS, 1, {"decision": value})
    assert telemetry.total("risk_assessments", decision="approved") == 1
    assert telemetry.total("tradespan.telemetry.overflow") == 0


def test_an_open_value_stays_as_it_is_written(telemetry: Any) -> None:
    """An enum by its value here too, its letters unchanged."""
    instruments.record(metrics.ORDER_PRECISION_ERRORS, 1, {"symbol": Enum("S", {"B": "Btc"}).B})
    (point,) = telemetry.metric("order_precision_errors")
    assert point.labels == {"symbol": "Btc"}


def test_a_value_that_nobody_gave_is_other_without_overflow(telemetry: Any) -> None:
    """A service that names no level has no exploding label; the point is there all the same."""
    instruments.record(metrics.REJECTED_TRADES_BY_RISK, 1, {})
    assert telemetry.total("rejected_trades_by_risk", risk_level="other") == 1
    assert telemetry.total("tradespan.telemetry.overflow") == 0


def test_a_value_too_long_for_a_label_becomes_other(telemetry: Any) -> None:
    """Free text that strayed into a label does not become a series."""
    instruments.record(metrics.ORDER_PRECISION_ERRORS, 1, {"symbol": "x" * 129})
    assert telemetry.total("order_precision_errors", symbol="other") == 1


@pytest.mark.parametrize("metric", METRICS, ids=lambda m: m.name)
@pytest.mark.parametrize(
    "number", [float("nan"), float("inf"), float("-inf"), -1.0, 0, 1e308, 5e-324, 2**63]
)
def test_no_number_raises(telemetry: Any, metric: Metric, number: float) -> None:
    """Any number can be recorded into any instrument; what makes no sense is dropped."""
    instruments.record(metric, number, {"symbol": "a\nb\x00"})
    instruments.record(metric, 1.0)
    telemetry.metric(metric.name)


@pytest.mark.parametrize(
    "bad",
    [math.nan, math.inf, -1, None, "much", [1], 10**400, Decimal("NaN"), object()],
    ids=lambda v: type(v).__name__,
)
def test_what_no_metric_can_take_is_refused_and_counted(telemetry: Any, bad: Any) -> None:
    """Here, so that whoever records is safe; the sum goes on, and the failure has its place."""
    for value in (1, bad, Decimal("0.5"), "2"):
        instruments.record(metrics.BUSINESS_REVENUE, value, {"source": "fees"}, "test.here")
    assert telemetry.total("business.revenue", source="fees") == 3.5
    assert telemetry.last("tradespan.telemetry.failures", site="test.here") == 1
    instruments.record(metrics.BUSINESS_REVENUE, bad)
    assert guard.failures["instruments.record"] == 1


def test_a_number_that_cannot_even_be_told_raises_nothing() -> None:
    """A type of the service's own fails as it likes."""

    class Hostile:
        def __float__(self) -> float:
            raise RuntimeError

        __repr__ = __str__ = __float__  # type: ignore[assignment]

    assert instruments.number(metrics.TRADES, Hostile(), "test.here") is None


def test_large_ints_end_no_export(telemetry: Any) -> None:
    """One, or the sum of several: OTLP has 64 bits for an int, and one too large spoils all."""
    instruments.record(metrics.CURRENT_POSITIONS_COUNT, 2**64)
    for _ in range(3):
        instruments.record(metrics.BUSINESS_TRADING_VOLUME, 2**62, {"symbol": "A"})
    data = telemetry.reader.get_metrics_data()
    assert encode_metrics(data).SerializeToString()
    points = {
        metric.name: [p.value for p in metric.data.data_points]
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }
    assert points["current_positions_count"] == [2.0**64]
    assert points["business.trading.volume"] == [3 * 2.0**62]
    assert {type(p) for found in points.values() for p in found} == {float}


def test_random_labels_stay_bounded(telemetry: Any) -> None:
    """However many values a service invents, series stay within limit and `other`."""
    source = random.Random(1)
    for _ in range(3000):
        instruments.record(
            metrics.TRADE_EXECUTIONS,
            1,
            {"symbol": source.randbytes(4).hex(), "status": source.choice(["filled", "x", None])},
        )
    points = telemetry.metric("trade_executions")
    assert sum(p.value for p in points) == 3000
    assert {p.labels["status"] for p in points if p.value} == {"filled", "other"}
    assert len(points) <= 2 * (LIMITS["symbol"] + 1)


def test_failures_of_ours_are_a_metric(telemetry: Any) -> None:
    """What the guard kept away is told by site."""
    instruments.open_room("telemetry")
    guard.failures["stage.end"] = 3
    assert telemetry.total("tradespan.telemetry.failures", site="stage.end") == 3
