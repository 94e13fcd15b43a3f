"""A stand-in for an old strategy that still runs beside the new one; its faults are what it is for.

It runs in paper mode and writes into the live stream by mistake. The clock of its machine is a
second ahead. What it cannot send at once it sends later, with the stamp of then.
"""

import itertools
import logging
import os
import sys
import threading
import time
from collections import deque
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI

import tradespan

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import bus

logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
log = logging.getLogger("legacy")

AHEAD_NS = 1_000_000_000  # of its clock
SPOOLED = 5.0  # seconds that an entry stays with it
EVERY = 10  # rounds of the others

app = FastAPI(title="stand-in for an old strategy")
stats = {"sent": 0, "spooled": 0}


@app.get("/stats")
def get_stats() -> dict[str, int]:
    return stats


def decision(number: int) -> dict[str, Any]:
    """One decision, with the journey that it begins."""
    with tradespan.signal(symbol="BTC-USD", signal_type="breakout"):
        fields = {"id": f"legacy-{number}", "symbol": "BTC-USD", "action": "hold", "price": "97000"}
        return tradespan.inject(fields)


def run(interval: float) -> None:
    client = bus.connect()
    spool: deque[tuple[float, dict[str, Any]]] = deque()
    for number in itertools.count():
        if number % 3 == 0:
            spool.append((time.monotonic() + SPOOLED, decision(number)))
            stats["spooled"] += 1
        else:
            bus.write(client, bus.DECISIONS, decision(number))
            stats["sent"] += 1
        while spool and spool[0][0] <= time.monotonic():
            bus.write(client, bus.DECISIONS, spool.popleft()[1])
            stats["sent"] += 1
        time.sleep(interval)


def set_the_clock_ahead() -> None:
    true = time.time_ns
    vars(time)["time_ns"] = lambda: true() + AHEAD_NS


if __name__ == "__main__":
    set_the_clock_ahead()
    interval = EVERY * float(os.environ.get("INTERVAL_MS", "1000")) / 1000
    threading.Thread(target=run, args=(interval,), daemon=True).start()
    port = int(os.environ.get("PORT", "8013"))
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", timeout_graceful_shutdown=5)
