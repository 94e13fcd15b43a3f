"""Risk watch: values the portfolio from the stream `positions`, and looks after the decisions.

Equity gives the drawdown. A position whose last tick had no price makes the equity NaN for a
moment: tradespan keeps that out of the gauges and counts it.
"""

import logging
import math
import os
import threading
import time
from typing import Any

import bus
import redis
import uvicorn
from fastapi import FastAPI

import tradespan
from tradespan.handoffs import redis as queues
from tradespan.recorders import portfolio, safety

logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
log = logging.getLogger("risk_watch")

GROUP = "risk"
START = 100_000.0  # USD
SILENT_AFTER = float(os.environ.get("SILENT_AFTER_S", "60"))

app = FastAPI(title="risk watch")
drawdown = safety.Drawdown()
book: dict[str, tuple[float, float]] = {}  # quantity and latest price by symbol
stats: dict[str, Any] = {"valued": 0, "equity": START, "drawdown_pct": 0.0, "silent": False}


@app.get("/health")
def health() -> dict[str, str]:
    return {"status": "ok"}


@app.get("/stats")
def get_stats() -> dict[str, Any]:
    equity = stats["equity"]
    return {**stats, "equity": equity if math.isfinite(equity) else None}


def value(fields: dict[str, str], attempt: int) -> None:
    """Mark the whole book to the market after one change of it."""
    with tradespan.stage("valuation", carrier=fields, attempt=attempt) as v:
        book[fields["symbol"]] = float(fields["quantity"]), float(fields["price"])
        cash = equity = float(fields["cash"])
        for symbol, (quantity, price) in book.items():
            with tradespan.stage("mark", symbol=symbol):
                equity += quantity * price
        stats["drawdown_pct"] = drawdown.update(equity)
        open_ones = sum(quantity != 0 for quantity, _ in book.values())
        profit = equity - START
        portfolio.update(
            total_value=equity, cash=cash, positions=open_ones,
            daily_pnl=profit, total_return_pct=100 * profit / START,
        )  # fmt: skip
        v.set(equity=equity, drawdown_pct=stats["drawdown_pct"])
    stats["valued"] += 1
    stats["equity"] = equity


def consume() -> None:
    while True:
        try:
            for entry, fields, attempt in group.read():
                value(fields, attempt)
                group.done(entry)
        except Exception:
            log.exception("a position is not valued")
            time.sleep(0.5)


def age_of(client: redis.Redis, stream: str) -> float:
    """Seconds since the latest entry of a stream; its id is the clock of Redis."""
    info: Any = client.xinfo_stream(stream)
    return max(0.0, time.time() - int(info["last-generated-id"].partition("-")[0]) / 1000)


def watch_decisions() -> None:
    """Say when the decisions fall silent, and when they come again; a stage outside any signal."""
    client = bus.connect()
    while True:
        time.sleep(1.0)
        try:
            with tradespan.stage("silence_check") as check:
                age = age_of(client, bus.DECISIONS)
                silent = age > SILENT_AFTER
                if silent:
                    check.reject(f"{bus.DECISIONS} is silent for {age:.0f} s")
                if silent != stats["silent"]:
                    stats["silent"] = silent
                    log.warning("%s is %s", bus.DECISIONS, "silent" if silent else "back")
        except redis.RedisError as error:
            log.warning("the decisions cannot be watched: %r", error)


if __name__ == "__main__":
    group = bus.Group(bus.connect(), bus.POSITIONS, GROUP)
    queues.watch(bus.POSITIONS, GROUP, interval=1.0)
    for work in (consume, watch_decisions):
        threading.Thread(target=work, daemon=True).start()
    port = int(os.environ.get("PORT", "8012"))
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", timeout_graceful_shutdown=5)
