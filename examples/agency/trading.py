"""Trading: takes the customers' orders, publishes signals, and follows the market bar by bar."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Any

import desk
import httpx
import service
import signals
from fastapi import FastAPI, HTTPException, Response
from pydantic import BaseModel, Field

import tradespan
from tradespan.recorders import business

SILENT = 6  # times without a bar, then it is said
SYMBOLS = ("BTC-USD", "ETH-USD", "SOL-USD")

log = logging.getLogger("trading_service")

app = service.application("trading", desk.stats)


class NewOrder(BaseModel):
    """What a customer wants to trade."""

    symbol: str
    side: desk.Side
    quantity: float = Field(gt=0)
    limit: float | None = Field(default=None, gt=0)
    good_for_seconds: float = Field(default=60.0, gt=0)


@app.post("/orders", status_code=201)
def order(body: NewOrder, response: Response) -> dict[str, Any]:
    if body.symbol not in SYMBOLS:
        raise HTTPException(404, f"no such instrument, known: {', '.join(SYMBOLS)}")
    wanted = desk.Order(
        service.user_id.get(),
        body.symbol,
        body.side,
        body.quantity,
        body.limit,
        body.good_for_seconds,
    )
    try:
        with tradespan.orchestration(symbol=wanted.symbol, side=wanted.side) as o:
            fill = desk.place(wanted, o)
    except httpx.HTTPError as error:
        log.error("nobody knows the price of %s: %r", body.symbol, error)
        raise HTTPException(503, "no price") from error
    if fill.result == "waiting":
        response.status_code = 202
    return {"order_id": wanted.order_id, **asdict(fill)}


@app.delete("/orders/{order_id}")
def cancel(order_id: str) -> dict[str, bool]:
    return {"cancelled": desk.withdraw(order_id, service.user_id.get())}


@app.get("/signals")
def newest() -> list[dict[str, Any]]:
    return [asdict(signal) for signal in list(signals.published)[-10:]]


def follow(closing: threading.Event) -> None:
    """Look at each new bar until told to stop."""
    seen = silent = 0
    while not closing.wait(service.INTERVAL):
        try:
            feed = desk.market.get("/feed").raise_for_status().json()
            silent = 0
            if feed["number"] != seen:
                seen = feed["number"]
                signals.look(feed)
        except httpx.HTTPError as error:
            silent += 1
            if silent == SILENT:  # it may start, or stop, together with us
                log.error("no prices: %r", error)
            closing.wait(0.5)
        except Exception:
            log.exception("the bar is lost")


@asynccontextmanager
async def following(_: FastAPI) -> AsyncIterator[None]:
    """Follow the market while the service runs; the last bar is finished before it ends."""
    closing = threading.Event()
    follower = asyncio.create_task(asyncio.to_thread(follow, closing))
    yield
    closing.set()
    await follower


app.router.lifespan_context = following


if __name__ == "__main__":
    business.open(sources=["trading_fees"], symbols=SYMBOLS)
    service.serve(app, 8084)
