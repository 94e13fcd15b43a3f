"""Room `features`: the feature store of the agents and its cache."""

from __future__ import annotations

from collections.abc import Iterable

from tradespan.recorders.room import Room, Timer
from tradespan.semconv import metrics

_ROOM = Room(metrics.CACHE_HITS.room)


def open(*, layers: Iterable[str] = ()) -> None:  # noqa: A001
    """Create the room's instruments. Never raises.

    Arguments:
        layers: of the cache; their counters stand at 0.
    """
    _ROOM.open(layer=layers)


def hit(layer: str, number: int = 1) -> None:
    """Count features found in a cache. Never raises.

    Arguments:
        layer: of the cache, such as `L1_Redis`.
        number: of features.
    """
    _ROOM.record(metrics.CACHE_HITS, number, layer=layer)


def miss(number: int = 1) -> None:
    """Count features found in no cache. Never raises."""
    _ROOM.record(metrics.CACHE_MISSES, number)


def hit_rate(hits: float, misses: float) -> None:
    """Set the hit rate; nothing is counted by this, and none is set where both are 0. Never raises.

    Arguments:
        hits: found in a cache, in whatever window the caller counts.
        misses: found in none, in the same window.
    """
    with _ROOM.guard:
        found, both = float(hits), float(hits) + float(misses)
        if both != 0:
            _ROOM.record(metrics.CACHE_HIT_RATE, found / both)


def calculation() -> Timer:
    """Time the calculation of a feature: `with calculation():`, or `async with`."""
    return Timer(_ROOM.guard, lambda seconds, _: calculated(seconds))


def calculated(seconds: float) -> None:
    """Record the calculation of a feature that was timed elsewhere. Never raises."""
    _ROOM.record(metrics.FEATURE_CALCULATION_LATENCY, seconds)


def query() -> Timer:
    """Time a query of the feature store: `with query():`, or `async with`."""
    return Timer(_ROOM.guard, lambda seconds, _: queried(seconds))


def queried(seconds: float) -> None:
    """Record a query of the feature store that was timed elsewhere. Never raises."""
    _ROOM.record(metrics.FEATURE_STORE_QUERY_LATENCY, seconds)
