"""A stand-in for a hosted model that rates signals: a formula, and a limit of calls.

The limit goes by the rounds of the example, so that it is met at any pace.
"""

from __future__ import annotations

import asyncio
import math
import os
import time

import uvicorn
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel

ROUND = float(os.environ.get("INTERVAL_MS", "1000")) / 1000  # seconds
RATE, BURST = 0.2 / ROUND, 2.0  # calls a second, and at once
LATENCY = 0.008

app = FastAPI(title="stand-in for a model")
state = {"left": BURST, "since": time.monotonic()}


class Move(BaseModel):
    """How far a price went, and how far it usually goes."""

    momentum: float
    usual: float


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}


@app.post("/rate")
async def rate(move: Move) -> dict[str, float]:
    now = time.monotonic()
    left = min(BURST, state["left"] + (now - state["since"]) * RATE)
    state.update(left=max(0.0, left - 1), since=now)
    if left < 1:
        raise HTTPException(429, "too many calls", {"retry-after": "1"})
    await asyncio.sleep(LATENCY)
    strength = abs(move.momentum) / max(move.usual, 1e-9)
    return {"confidence": round(1 / (1 + math.exp(-2 * (strength - 1.7))), 3)}


if __name__ == "__main__":
    port = int(os.environ.get("PORT", "8092"))
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", timeout_keep_alive=60)
