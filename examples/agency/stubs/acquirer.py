"""A stand-in for an acquirer: the card's number says what becomes of the charge, as in a sandbox.

Every fifth charge fails for no reason and must be tried again. POST /settings changes latency_ms
and error_rate while it runs.
"""

from __future__ import annotations

import asyncio
import os

import uvicorn
from fastapi import FastAPI, Response
from pydantic import BaseModel, Field

DECLINED = {"4000000000000002": "card_declined", "4000000000009995": "insufficient_funds"}

app = FastAPI(title="stand-in for an acquirer")
charges = 0


class Settings(BaseModel):
    """How it behaves."""

    latency_ms: float = Field(default=12.0, ge=0)
    error_rate: float = Field(default=0.2, ge=0, le=1)


class Charge(BaseModel):
    """What is asked of a card."""

    card: str
    amount_usd: float
    reference: str


settings = Settings()


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}


@app.post("/settings")
async def change(body: dict[str, float]) -> Settings:
    global settings
    settings = Settings(**{**settings.model_dump(), **body})
    return settings


@app.post("/charges")
async def charge(body: Charge, response: Response) -> dict[str, str]:
    global charges
    charges += 1
    fails = int(charges * settings.error_rate) > int((charges - 1) * settings.error_rate)
    await asyncio.sleep(settings.latency_ms / 1000)
    if fails:
        response.status_code = 500
        return {"reason": "processor unavailable"}
    if body.card in DECLINED:
        response.status_code = 402
        return {"reason": DECLINED[body.card]}
    return {"reference": body.reference}


if __name__ == "__main__":
    port = int(os.environ.get("PORT", "8090"))
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", timeout_keep_alive=60)
