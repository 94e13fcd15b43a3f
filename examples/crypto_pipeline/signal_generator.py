"""Signal generator: replays one-minute bars through the model and publishes what it says.

A bar that leaves the model unsure is a HOLD: it is counted, and goes no further.
"""

import json
import logging
import os
import threading
import time
import uuid
from typing import Any

import database
import redis
import uvicorn
from fastapi import FastAPI
from ledger import note
from model import WINDOW, Bars, Model, indicators
from ports import HOST, service_port

import tradespan

logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
log = logging.getLogger("signal_generator")

SYMBOL = "BTC-USD"
SURE = 0.54  # less is a HOLD
STREAM = os.environ.get("SIGNALS_STREAM", "signals")
SIGNALS = int(os.environ.get("SIGNALS", "0"))  # 0: for ever
INTERVAL = float(os.environ.get("INTERVAL_MS", "1000")) / 1000

app = FastAPI(title="signal generator")
bars, model = Bars.load(), Model.load()
stats = {"evaluated": 0, "published": 0, "held": 0, "failed": 0}
started = threading.Event()


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


def evaluate(stream: redis.Redis, db: database.Database, at: int) -> None:
    """One evaluation of the model, at the close of bar `at`."""
    signal_id, outcome = str(uuid.uuid4()), "error"
    closed_at, price = float(bars.closed_at[at]), float(bars.close[at])
    try:
        with tradespan.signal(symbol=SYMBOL, signal_id=signal_id, event_time=closed_at) as s:
            seen = indicators(bars, at)
            with tradespan.call("model_inference"):
                up = model.predict(seen)
            confidence = max(up, 1 - up)
            signal_type = "hold" if confidence < SURE else "buy" if up > 0.5 else "sell"
            s.set(signal_type=signal_type, price=price).confidence(confidence)
            with tradespan.call("database_query"):
                db.save_signal(signal_id, closed_at, signal_type, confidence)
            if signal_type == "hold":
                s.skip("the model is unsure")
                outcome = "skipped"
            else:
                payload = {
                    "signal_id": signal_id,
                    "symbol": SYMBOL,
                    "side": signal_type,
                    "price": price,
                    "confidence": round(confidence, 4),
                    "rsi": round(float(seen[2]), 1),
                    "below_high_bps": round(float(seen[3]), 1),
                    "volatility_bps": round(float(seen[4]), 2),
                }
                entry: dict[Any, Any] = tradespan.inject({"payload": json.dumps(payload)})
                stream.xadd(STREAM, entry)
                log.info("%s at %.2f, confidence %.2f", signal_type, price, confidence)
                outcome = "ok"
    finally:
        note("signal-generator", "signal", signal_id, outcome)
    stats["held" if signal_type == "hold" else "published"] += 1


def replay(stream: redis.Redis, db: database.Database) -> None:
    """Go through the bars, again and again, until SIGNALS evaluations are made."""
    tradespan.value("model_load_status", 1)
    started.wait()
    while not SIGNALS or stats["evaluated"] < SIGNALS:
        at = WINDOW + stats["evaluated"] % (len(bars) - WINDOW)
        try:
            evaluate(stream, db, at)
        except Exception:
            log.exception("evaluation failed")
            stats["failed"] += 1
        stats["evaluated"] += 1
        time.sleep(INTERVAL)
    log.info("all %d evaluations are made", SIGNALS)


if __name__ == "__main__":
    if os.environ.get("HOLD_START") != "1":
        started.set()
    redis_url = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0")
    joined = redis.Redis.from_url(redis_url), database.from_environment()
    threading.Thread(target=replay, args=joined, daemon=True).start()
    port = service_port(8025)
    uvicorn.run(app, host=HOST, port=port, log_level="warning", timeout_graceful_shutdown=5)
