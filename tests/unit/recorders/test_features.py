"""The feature store and its cache, as they are exported."""

from __future__ import annotations

import asyncio
import time
from decimal import Decimal
from typing import Any

import pytest

from tradespan.recorders import features


def test_hits_by_layer_and_misses(telemetry: Any) -> None:
    """The layer's name stays as the service writes it."""
    features.hit("L1_Redis")
    features.hit("L2_TimescaleDB", 3)
    features.miss(2)
    assert telemetry.total("cache_hits", layer="L1_Redis") == 1
    assert telemetry.total("cache_hits", layer="L2_TimescaleDB") == 3
    assert telemetry.total("cache_misses") == 2


@pytest.mark.parametrize(
    ("hits", "misses", "rate"), [(95, 5, 0.95), (0, 5, 0.0), (0, 0, None), (Decimal(3), 1.0, 0.75)]
)
def test_the_hit_rate(telemetry: Any, hits: Any, misses: Any, rate: float | None) -> None:
    """A share of both, unset where there was nothing; no hit is counted by it."""
    features.hit_rate(hits, misses)
    assert telemetry.last("cache_hit_rate") == rate
    assert telemetry.total("cache_hits") == 0


def test_calculations_and_queries_are_timed(telemetry: Any) -> None:
    """By the block, in coroutines too, or by seconds; also where they fail."""

    async def later() -> None:
        async with features.query(), features.calculation():
            await asyncio.sleep(0.02)

    asyncio.run(later())

    def fail() -> None:
        with features.calculation(), features.query():
            time.sleep(0.02)
            raise ValueError

    with pytest.raises(ValueError):
        fail()
    features.calculated(1.0)
    features.queried(1.0)
    for name in ("feature_calculation_latency", "feature_store_query_latency"):
        (point,) = telemetry.metric(name)
        assert point.count == 3
        assert 1.04 <= point.sum < 2


def test_layers_that_are_named_stand_at_zero(telemetry: Any) -> None:
    """And misses, which have no label, always do."""
    features.open(layers=["L1_Redis"])
    assert [(p.labels, p.value) for p in telemetry.metric("cache_hits")] == [
        ({"layer": "L1_Redis"}, 0)
    ]
    assert [p.value for p in telemetry.metric("cache_misses")] == [0]
