"""The desk as a service: a round each interval, its book, and the kill switch.

POST /kill-switch {"active": true, "reason": "..."} halts trading, {"active": false} releases it.
"""

import asyncio
import json
import logging
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from trader import Trader

from tradespan.recorders import system

logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
logging.getLogger("httpx").setLevel(logging.WARNING)
log = logging.getLogger("desk")

INTERVAL = float(os.environ.get("INTERVAL_MS", "1000")) / 1000
PROBE_EVERY = 1.0  # seconds
trader = Trader(
    os.environ.get("MODEL_URL", "http://127.0.0.1:8090"),
    os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0"),
)


@asynccontextmanager
async def trades(_: FastAPI) -> AsyncIterator[None]:
    """Trade while the service runs; the last round is finished before it ends."""
    stop = asyncio.Event()
    loops = [asyncio.create_task(loop(stop)) for loop in (trade, probe)]
    yield
    stop.set()
    await asyncio.gather(*loops)
    log.info("stopped: %s", json.dumps(trader.stats))


async def trade(stop: asyncio.Event) -> None:
    """A round each interval."""
    while not stop.is_set():
        due = time.monotonic() + INTERVAL
        try:
            await trader.round()
        except Exception:
            log.exception("the round failed")
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), max(0.001, due - time.monotonic()))


async def probe(stop: asyncio.Event) -> None:
    """Ask database and Redis whether they are there."""
    system.open()
    while not stop.is_set():
        database = await asyncio.to_thread(trader.store.database_answers)
        cache = await asyncio.to_thread(trader.store.redis_answers)
        system.update(timescale_connected=database, redis_connected=cache)
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), PROBE_EVERY)


app = FastAPI(title="desk", lifespan=trades)


class Switch(BaseModel):
    """What is asked of the kill switch."""

    active: bool
    reason: str = "by hand"


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "halted" if trader.switch.active else "ok"}


@app.get("/stats")
async def stats() -> dict[str, int]:
    return trader.stats


@app.get("/portfolio")
async def portfolio() -> dict[str, Any]:
    return {"held": trader.book.positions, **trader.book.summary(trader.market.prices())}


@app.get("/kill-switch")
async def switch() -> dict[str, Any]:
    return {"active": trader.switch.active, "reason": trader.switch.reason}


@app.post("/kill-switch")
async def change(asked: Switch) -> dict[str, Any]:
    if asked.active:
        trader.halt(asked.reason, by_hand=True)
    elif trader.switch.active:
        trader.release()
    return await switch()


if __name__ == "__main__":
    port = int(os.environ.get("PORT", "8001"))
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", timeout_graceful_shutdown=5)
