"""Market: simulated prices of eight symbols, one tick a round onto the stream `market:ticks`.

Every tick begins a journey. Now and then the simulated feed sends a tick whose price is NaN, as
real feeds do.
"""

import logging
import os
import random
import threading
import time

import bus
import uvicorn
from fastapi import FastAPI

import tradespan

logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
log = logging.getLogger("market")

PRICES = {
    "BTC-USD": 97_000.0,
    "ETH-USD": 3_400.0,
    "SOL-USD": 190.0,
    "XRP-USD": 2.4,
    "ADA-USD": 0.95,
    "DOGE-USD": 0.35,
    "AVAX-USD": 38.0,
    "LINK-USD": 23.0,
}
VOLATILITY = 0.004  # of a price, from tick to tick
GLITCH = 60  # one tick in so many has no price

app = FastAPI(title="market")
stats = {"ticks": 0, "glitches": 0}


@app.get("/health")
def health() -> dict[str, str]:
    return {"status": "ok"}


@app.get("/stats")
def get_stats() -> dict[str, int]:
    return stats


def publish(symbol: str, price: float, event_time: float) -> None:
    """Put one tick onto the stream, as the first step of its journey."""
    with tradespan.signal(symbol=symbol, signal_type="tick", event_time=event_time):
        tick = {"symbol": symbol, "price": repr(price), "time": repr(event_time)}
        bus.write(stream, bus.TICKS, tradespan.inject(tick))
    stats["ticks"] += 1


def run(interval: float) -> None:
    rng = random.Random(7)
    prices = dict(PRICES)
    while True:
        for symbol in prices:
            prices[symbol] *= 1 + rng.gauss(0, VOLATILITY)
            glitch = rng.randrange(GLITCH) == 0
            stats["glitches"] += glitch
            sent = time.time() - rng.uniform(0.002, 0.04)  # by the clock of the exchange
            try:
                publish(symbol, float("nan") if glitch else round(prices[symbol], 4), sent)
            except Exception:
                log.exception("the tick of %s is lost", symbol)
            time.sleep(interval)


if __name__ == "__main__":
    stream = bus.connect()
    interval = float(os.environ.get("INTERVAL_MS", "1000")) / 1000
    threading.Thread(target=run, args=(interval,), daemon=True).start()
    port = int(os.environ.get("PORT", "8010"))
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", timeout_graceful_shutdown=5)
