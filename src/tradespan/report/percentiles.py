"""Percentiles, one definition for every figure of a report."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Three percentiles in milliseconds, and how many values they were taken from.

    Nearest rank: the smallest value that at least p percent of the values do not exceed. So each
    is a value that occurred, p99 of fewer than 100 values is their maximum, and nothing is
    interpolated. All three are None when there was no value.
    """

    count: int
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None

    def as_dict(self) -> dict[str, float | int | None]:
        """As a JSON object: `p50_ms`, `p95_ms`, `p99_ms` and `count`."""
        return {
            "p50_ms": self.p50_ms,
            "p95_ms": self.p95_ms,
            "p99_ms": self.p99_ms,
            "count": self.count,
        }


def nearest_rank(ordered: list[int], percent: int) -> int:
    """The nearest-rank percentile of values in ascending order, of which there is at least one."""
    rank = -(-percent * len(ordered) // 100)
    return ordered[max(1, rank) - 1]


def percentiles(values_ns: Iterable[int]) -> Percentiles:
    """p50, p95 and p99 of durations in nanoseconds, in milliseconds to the microsecond."""
    ordered = sorted(values_ns)
    if not ordered:
        return Percentiles(0, None, None, None)
    p50, p95, p99 = (milliseconds(nearest_rank(ordered, percent)) for percent in (50, 95, 99))
    return Percentiles(len(ordered), p50, p95, p99)


def milliseconds(duration_ns: int) -> float:
    """Nanoseconds as milliseconds, rounded to the microsecond."""
    return round(duration_ns / 1e6, 3)
