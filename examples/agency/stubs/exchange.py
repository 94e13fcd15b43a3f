"""A stand-in for an exchange: fills at the price asked for, give or take a basis point.

It has so much on offer for one order and no more, refuses a share of the orders, and refuses
whoever sends too many at once. POST /settings changes latency_ms and reject_rate while it runs.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from typing import Any

import uvicorn
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel, Field

DEPTH_USD = 40_000.0  # on offer for one order
RATE, BURST = 15.0, 4.0  # orders a second, and at once

app = FastAPI(title="stand-in for an exchange")


class Settings(BaseModel):
    """How it behaves."""

    latency_ms: float = Field(default=4.0, ge=0)
    reject_rate: float = Field(default=0.04, ge=0, le=1)


class Order(BaseModel):
    """An order that is filled at once, or not at all."""

    client_order_id: str
    symbol: str
    side: str
    quantity: float
    price: float


settings = Settings()
state = {"left": BURST, "since": time.monotonic(), "orders": 0.0}


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}


@app.post("/settings")
async def change(body: dict[str, float]) -> Settings:
    global settings
    settings = Settings(**{**settings.model_dump(), **body})
    return settings


@app.post("/orders")
async def place(order: Order) -> dict[str, Any]:
    now = time.monotonic()
    left = min(BURST, state["left"] + (now - state["since"]) * RATE)
    state.update(left=max(0.0, left - 1), since=now)
    if left < 1:
        raise HTTPException(429, "too many orders", {"retry-after": "1"})
    await asyncio.sleep(settings.latency_ms / 1000)
    state["orders"] += 1
    rate, number = settings.reject_rate, state["orders"]
    if int(number * rate) > int((number - 1) * rate):
        return {"status": "REJECTED", "filled": 0.0, "average_price": 0.0, "reason": "halted"}
    filled = min(order.quantity, DEPTH_USD / order.price)
    off = hashlib.sha256(order.client_order_id.encode()).digest()[0] / 128 - 1  # -1 to 1 bps
    return {
        "status": "FILLED" if filled == order.quantity else "PARTIALLY_FILLED",
        "filled": filled,
        "average_price": round(order.price * (1 + off / 10_000), 2),
    }


if __name__ == "__main__":
    port = int(os.environ.get("PORT", "8091"))
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", timeout_keep_alive=60)
