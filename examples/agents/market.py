"""The market: real one-minute bars of Bitcoin, and three shares that are simulated.

BTC-USD is crypto_pipeline/btcusd-1m.csv. The shares move by a seeded random walk that rises, falls
hard for six minutes, and comes back; their prices are nobody's. A day is the 240 minutes of the
file, and every day is the same day.
"""

import csv
import math
import random
from pathlib import Path

BARS = Path(__file__).resolve().parent.parent / "crypto_pipeline" / "btcusd-1m.csv"
SHARES = {"AAPL": (190.0, 0.8), "MSFT": (410.0, 1.0), "NVDA": (120.0, 1.6)}  # first price, beta
TICKERS = ("BTC-USD", *SHARES)
FALL = range(50, 56)  # minutes of the simulated fall
NOISE = 0.0025  # standard deviation of the return of a minute
SEED = 10


def history() -> dict[str, list[float]]:
    """The closing prices of a day, by ticker."""
    with BARS.open(newline="") as file:
        bitcoin = [float(row["close"]) for row in csv.DictReader(file)]
    return {"BTC-USD": bitcoin, **{name: _share(name, len(bitcoin)) for name in SHARES}}


def _share(name: str, minutes: int) -> list[float]:
    walk = random.Random(f"{name}{SEED}")
    price, beta = SHARES[name]
    prices = []
    for minute in range(minutes):
        trend = -0.014 if minute in FALL else 0.0007 if minute < FALL.start else 0.0004
        price *= math.exp(beta * trend + NOISE * walk.gauss(0, 1))
        prices.append(round(price, 2))
    return prices


class Market:
    """Goes through the days, a minute at a time; `minute` counts on over all of them."""

    def __init__(self) -> None:
        self._history = history()
        self.day_length = len(self._history["BTC-USD"])
        self.minute = 0

    def prices(self) -> dict[str, float]:
        """The last price of each ticker."""
        now = self.minute % self.day_length
        return {name: closes[now] for name, closes in self._history.items()}

    def begins_day(self) -> bool:
        """Whether this is the first minute of a day."""
        return self.minute % self.day_length == 0
