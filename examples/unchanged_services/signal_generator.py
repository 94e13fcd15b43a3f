"""Signal generator: asks the model at the close of every minute and publishes what it says.

A candle that leaves the model unsure is a HOLD: it is saved, and goes no further.
"""

import json
import logging
import os
import threading
import time
import uuid
from typing import Any, NamedTuple

import redis
import store
import uvicorn
from fastapi import FastAPI
from model import WINDOW, Bars, Model, indicators

logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
log = logging.getLogger("signal_generator")

SYMBOL = "BTC-USD"
SURE = 0.54  # less is a HOLD
STREAM = os.environ.get("SIGNALS_STREAM", "signals")
SIGNALS = int(os.environ.get("SIGNALS", "0"))  # 0: for ever
INTERVAL = float(os.environ.get("INTERVAL_MS", "1000")) / 1000

app = FastAPI(title="signal generator")
bars = Bars.load()
models: dict[str, Model] = {}
stats = {"evaluated": 0, "published": 0, "held": 0, "failed": 0}
started = threading.Event()


class Candle(NamedTuple):
    """One minute of the market; it closed at `close_time`, in milliseconds since the epoch."""

    number: int
    close_time: int
    close: float


@app.get("/health")
def health() -> dict[str, str]:
    return {"status": "ok"}


@app.get("/stats")
def get_stats() -> dict[str, int]:
    return stats


@app.post("/start")
def start() -> dict[str, str]:
    started.set()
    return {"status": "started"}


def load_model(symbol: str) -> bool:
    try:
        models[symbol] = Model.load()
    except (OSError, ValueError, KeyError):
        log.exception("no model for %s", symbol)
        return False
    return True


def save_signal(signal: dict[str, Any], candle: Candle, db: store.Database) -> None:
    closed_at = candle.close_time / 1000
    db.save_signal(signal["id"], closed_at, signal["type"].lower(), signal["confidence"])


def publish(signal: dict[str, Any], seen: Any, stream: redis.Redis) -> None:
    payload = {
        "signal_id": signal["id"],
        "symbol": signal["symbol"],
        "side": signal["type"].lower(),
        "price": signal["price"],
        "confidence": round(signal["confidence"], 4),
        "rsi": round(float(seen[2]), 1),
        "below_high_bps": round(float(seen[3]), 1),
        "volatility_bps": round(float(seen[4]), 2),
    }
    stream.xadd(STREAM, {"payload": json.dumps(payload)})


def generate_ml_signal(
    signal_id: str, symbol: str, candle: Candle, stream: redis.Redis, db: store.Database
) -> dict[str, Any]:
    """BUY, SELL or HOLD for one candle; {"success": False} if it cannot be said."""
    try:
        seen = indicators(bars, candle.number)
        up = models[symbol].predict(seen)
        confidence = max(up, 1 - up)
        kind = "HOLD" if confidence < SURE else "BUY" if up > 0.5 else "SELL"
        signal = {"success": True, "id": signal_id, "symbol": symbol, "type": kind}
        signal |= {"confidence": confidence, "price": candle.close}
        save_signal(signal, candle, db)
        if kind != "HOLD":
            publish(signal, seen, stream)
            log.info("%s at %.2f, confidence %.2f", kind, candle.close, confidence)
    except Exception as error:
        log.exception("evaluation failed")
        return {"success": False, "error": repr(error)}
    return signal


def candle_at(number: int) -> Candle:
    return Candle(number, int(bars.closed_at[number] * 1000), float(bars.close[number]))


def replay() -> None:
    """Go through the candles, again and again, until SIGNALS evaluations are made."""
    stream = redis.Redis.from_url(os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0"))
    db = store.connect()
    load_model(SYMBOL)
    started.wait()
    while not SIGNALS or stats["evaluated"] < SIGNALS:
        candle = candle_at(WINDOW + stats["evaluated"] % (len(bars) - WINDOW))
        signal = generate_ml_signal(str(uuid.uuid4()), SYMBOL, candle, stream, db)
        if not signal["success"]:
            stats["failed"] += 1
        else:
            stats["held" if signal["type"] == "HOLD" else "published"] += 1
        stats["evaluated"] += 1
        time.sleep(INTERVAL)
    log.info("all %d evaluations are made", SIGNALS)


if __name__ == "__main__":
    if os.environ.get("HOLD_START") != "1":
        started.set()
    threading.Thread(target=replay, daemon=True).start()
    port = int(os.environ.get("PORT", "8025"))
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", timeout_graceful_shutdown=5)
