"""Every metric of the registry that a recorder serves is emitted by it, as catalogue.json says."""

from __future__ import annotations

from typing import Any

import pytest

from tradespan.recorders import (
    agents,
    business,
    exchange,
    features,
    portfolio,
    pricing,
    safety,
    streams,
    system,
    training,
    voice,
)

from ...support.catalogue import CATALOGUE

ROOMS = {"agents", "business", "exchange", "features", "models", "portfolio", "safety", "streams",
         "system", "training", "voice"}  # fmt: skip
SERVED = [entry for entry in CATALOGUE if entry["room"] in ROOMS]
DATA = {"counter": "Sum", "updowncounter": "Sum", "gauge": "Gauge", "histogram": "Histogram"}


def use_everything() -> None:
    """Each recorder, as a service uses it."""
    agents.analysis()
    agents.decision("AAPL", "buy", conviction=0.7)
    with agents.request("haiku", cost_usd=0.001):
        pass
    pricing.spend("haiku", cost_usd=0.001, input_tokens=10, output_tokens=2)
    features.hit("L1")
    features.miss()
    features.hit_rate(9, 1)
    with features.calculation(), features.query():
        pass
    portfolio.trade("AAPL", "buy")
    portfolio.update(total_value=1, cash=1, positions=1, daily_pnl=1, total_return_pct=1)
    safety.kill_switch(False)
    safety.check("max_position", passed=False)
    safety.drawdown(-3)
    system.update(timescale_connected=True, redis_connected=True)
    voice.requested(0.4, failed=True)
    voice.wake_word()
    voice.conversion()
    training.cycle("conversation")
    training.policy(reward_avg=1, win_rate=0.5, rolling_roi=0.1, latency_ms=5)
    training.experience_buffer(100)
    training.declare_drift("volume")
    training.drift("volume", 0.1)
    exchange.executed()
    exchange.closed(1)
    exchange.rejected("balance")
    exchange.slipped(2.0)
    exchange.projected_roi(0.1)
    streams.decision("trader:decisions", "buy")
    streams.inferred("llama-3", 0.1)
    use_business()


def use_business() -> None:
    """The agency's."""
    business.revenue(1.0, "fees")
    business.payment(True)
    business.volume(100.0, "BTC-USD")
    business.order("filled")
    business.pnl(realized=1, unrealized=2)
    business.active_users(3)
    business.registration()
    business.session_ended(60)
    business.signal(0.8)
    business.signal_outcome(True)
    business.authentication_failed("token")
    business.rate_limited("client")


@pytest.fixture
def emitted(telemetry: Any) -> dict[str, Any]:
    """What was exported under our scope, by name."""
    use_everything()
    (resource,) = telemetry.reader.get_metrics_data().resource_metrics
    (scope,) = resource.scope_metrics
    assert scope.scope.name == "tradespan"
    return {metric.name: metric for metric in scope.metrics}


def found(entry: dict[str, Any], emitted: dict[str, Any]) -> Any:
    """The metric of an entry; of a template, the one that was declared."""
    return emitted.get(entry["name"].replace("*", "volume"))


@pytest.mark.parametrize("entry", SERVED, ids=lambda e: e["name"])
def test_it_is_emitted_as_the_catalogue_says(emitted: dict[str, Any], entry: Any) -> None:
    """Name, unit, help text, kind, and exactly its labels."""
    metric = found(entry, emitted)
    assert metric is not None
    assert metric.unit == entry["unit"]
    assert metric.description == entry["description"]
    assert type(metric.data).__name__ == DATA[entry["instrument"]]
    if entry["instrument"] in ("counter", "updowncounter"):
        assert metric.data.is_monotonic is (entry["instrument"] == "counter")
    points = list(metric.data.data_points)
    assert points
    for point in points:
        assert set(point.attributes) == set(entry["labels"])
    if entry["instrument"] == "histogram":
        assert list(points[0].explicit_bounds) == entry["boundaries"]


def test_nothing_else_is_emitted(emitted: dict[str, Any]) -> None:
    """Under our scope stands only what the catalogue has."""
    known = {entry["name"].replace("*", "volume") for entry in CATALOGUE}
    assert set(emitted) <= known


def test_every_room_has_its_recorder() -> None:
    """Rooms that no stage feeds are all in this test."""
    others = {"stages", "queues", "feeds", "telemetry", "signal", "execution", "validation",
              "orchestration", "risk"}  # fmt: skip
    assert {entry["room"] for entry in CATALOGUE} == ROOMS | others
