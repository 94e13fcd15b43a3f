"""Hourly bars of a made-up market: the same for every run."""

from __future__ import annotations

import math

Bar = tuple[str, float, float, float, float, int]


def bars(days: int) -> list[Bar]:
    """Date, open, high, low, close, volume of each day."""
    found = []
    for n in range(days):
        price = 100 + 10 * math.sin(n / 9) + 3 * math.sin(n / 2)
        date = f"{2015 + n // 336:04}-{n // 28 % 12 + 1:02}-{n % 28 + 1:02}"
        found.append((date, price, price + 1, price - 1, price + 0.25, 1000))
    return found
