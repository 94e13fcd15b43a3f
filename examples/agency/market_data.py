"""Market data: what each instrument costs now, and what it cost before.

BTC-USD are the real bars beside the crypto pipeline, again and again; ETH-USD and SOL-USD are
random walks with a seed, which go half of the way with BTC-USD.
"""

from __future__ import annotations

import csv
import itertools
import logging
import random
import threading
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import service
from fastapi import HTTPException

BARS = Path(__file__).resolve().parent.parent / "crypto_pipeline" / "btcusd-1m.csv"
WALKS = {"ETH-USD": (3200.0, 0.0006), "SOL-USD": (185.0, 0.0009)}  # first price, its usual step
SEED = 11
KEPT = 120  # bars
WILD = 0.004  # a step of BTC-USD above this is worth a line

log = logging.getLogger("market_data")

stats = service.Counts()
app = service.application("market-data", stats)
prices: dict[str, deque[float]] = {"BTC-USD": deque(maxlen=KEPT)}
prices |= {symbol: deque(maxlen=KEPT) for symbol in WALKS}


@app.get("/quotes/{symbol}")
async def quote(symbol: str) -> dict[str, Any]:
    if symbol not in prices:
        raise HTTPException(404, f"no such instrument, known: {', '.join(prices)}")
    stats.add("quotes")
    closes = list(prices[symbol])
    return {"symbol": symbol, "price": closes[-1], "volatility_bps": volatility(closes[-20:])}


@app.get("/history/{symbol}")
async def history(symbol: str, bars: int = 60) -> dict[str, Any]:
    if symbol not in prices:
        raise HTTPException(404, f"no such instrument, known: {', '.join(prices)}")
    stats.add("histories")
    return {"symbol": symbol, "closes": list(prices[symbol])[-max(1, bars) :]}


@app.get("/feed")
async def feed() -> dict[str, Any]:
    """The newest bars of everything, for those who poll."""
    newest = {symbol: list(closes)[-21:] for symbol, closes in prices.items()}
    return {"number": stats["bars"], "closes": newest}


def volatility(closes: list[float]) -> float:
    """Mean size of a step in basis points."""
    steps = [abs(b / a - 1) * 10_000 for a, b in itertools.pairwise(closes)]
    return round(sum(steps) / len(steps), 3) if steps else 0.0


def market() -> Iterator[dict[str, float]]:
    """One bar after the other, for ever: the close of each instrument."""
    rng = random.Random(SEED)
    with BARS.open(newline="") as file:
        closes = [float(row["close"]) for row in csv.DictReader(file)]
    walking = {symbol: first for symbol, (first, _) in WALKS.items()}
    before = closes[0]
    for close in itertools.cycle(closes):
        moved, before = close / before - 1, close
        if abs(moved) > WILD:
            log.warning("BTC-USD jumps", extra={"moved_bps": round(moved * 10_000, 1)})
        for symbol, (first, step) in WALKS.items():
            home = 0.002 * (first / walking[symbol] - 1)  # it never walks far away
            walking[symbol] *= 1 + 0.5 * moved + rng.gauss(0, step) + home
        yield {"BTC-USD": close, **{s: round(price, 2) for s, price in walking.items()}}


def replay(bars: Iterator[dict[str, float]]) -> None:
    while True:
        take(bars)
        time.sleep(service.INTERVAL)


def take(bars: Iterator[dict[str, float]]) -> None:
    for symbol, close in next(bars).items():
        prices[symbol].append(close)
    stats.add("bars")


if __name__ == "__main__":
    source = market()
    for _ in range(30):  # a past, before the first request
        take(source)
    threading.Thread(target=replay, args=(source,), daemon=True).start()
    service.serve(app, 8083)
