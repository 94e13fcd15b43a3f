"""A stand-in for an exchange: a simulated market, and orders that it fills or refuses.

The price is a seeded random walk whose trend persists, so that there is something to learn, and
whose volatility changes by the season, so that there is drift to see. A tick is INTERVAL_MS.
"""

from __future__ import annotations

import asyncio
import math
import os
import random
import uuid
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any, Literal

import uvicorn
from fastapi import FastAPI, Header
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

TICK = float(os.environ.get("INTERVAL_MS", "1000")) / 1000
LATENCY = 0.003  # seconds
SEASON = 150  # ticks of calm, then as many of wild trading
HOURS = 76, 80  # open for 76 ticks of 80
INCREMENT, SMALLEST = Decimal("0.01"), Decimal("0.05")
BAND = 0.05  # a limit must be this near to the market
IMPACT = 2e-4  # of the price, for each unit
MARGIN = 500_000.0  # USD, of one order
MOST_HELD = 2.5  # units, long or short; what closes a trade may always come
RATE = 2, 2  # orders in ticks
TOKEN_LASTS = 40  # orders

STATUS = {"INVALID_TOKEN": 401, "TOO_MANY_REQUESTS": 429}


class Market:
    """The price; one step a tick."""

    def __init__(self, seed: int = 11) -> None:
        self._random = random.Random(seed)
        self.tick, self.price, self._trend = 0, 94_000.0, 0.0

    @property
    def volatility(self) -> float:
        """Of one tick, as a ratio."""
        return 9e-4 if self.tick // SEASON % 2 else 4e-4

    @property
    def is_open(self) -> bool:
        """Whether it takes orders; it rests now and then."""
        return self.tick % HOURS[1] < HOURS[0]

    def step(self) -> None:
        """Go on by a tick."""
        self.tick += 1
        self._trend = 0.85 * self._trend + self._random.gauss(0, 0.4) * self.volatility
        noise = self._random.gauss(0, 0.6) * self.volatility
        home = 0.002 * math.log(94_000.0 / self.price)  # never far from where it began
        self.price *= math.exp(self._trend + noise + home)

    def quote(self) -> tuple[float, float]:
        """Bid and ask."""
        half = self.volatility * 0.1
        return round(self.price * (1 - half), 2), round(self.price * (1 + half), 2)


class Order(BaseModel):
    """At the market, or at a limit and at once."""

    client_order_id: str
    side: Literal["buy", "sell"]
    quantity: Decimal = Field(gt=0)
    limit: float | None = None
    closes: bool = False


market = Market()
held = 0.0
valid_token, left = "", 0
filled: set[str] = set()
lately: deque[int] = deque(maxlen=RATE[0])


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    async def trade() -> None:
        while True:
            market.step()
            await asyncio.sleep(TICK)

    trading = asyncio.create_task(trade())
    yield
    trading.cancel()


app = FastAPI(title="stand-in for an exchange", lifespan=lifespan)


@app.get("/ticker")
async def ticker() -> dict[str, Any]:
    bid, ask = market.quote()
    return {"tick": market.tick, "bid": bid, "ask": ask}


@app.post("/login")
async def log_in() -> dict[str, str]:
    global valid_token, left
    valid_token, left = uuid.uuid4().hex, TOKEN_LASTS
    return {"token": valid_token}


@app.post("/orders")
async def place(order: Order, x_token: str = Header("")) -> JSONResponse:
    global held
    await asyncio.sleep(LATENCY)
    error = refusal(order, x_token)
    if error:
        return JSONResponse({"error": error}, STATUS.get(error, 422))
    sign = 1 if order.side == "buy" else -1
    touch = market.quote()[sign > 0]
    price = round(touch * (1 + sign * IMPACT * float(order.quantity)), 2)
    held += sign * float(order.quantity)
    filled.add(order.client_order_id)
    return JSONResponse({"order_id": uuid.uuid4().hex, "price": price})


def refusal(order: Order, token: str) -> str | None:
    """Why the order is not taken."""
    global left
    left -= 1
    if token != valid_token or left < 0:
        return "INVALID_TOKEN"
    if len(lately) == RATE[0] and market.tick - lately[0] < RATE[1]:
        return "TOO_MANY_REQUESTS"
    lately.append(market.tick)
    return refused_terms(order) if market.is_open else "MARKET_CLOSED"


def refused_terms(order: Order) -> str | None:
    """Why an order is not taken that comes as it should."""
    quantity, sign = float(order.quantity), 1 if order.side == "buy" else -1
    after = held + sign * quantity
    refused = {
        "DUPLICATE_ORDER_ID": order.client_order_id in filled,
        "INVALID_PRECISION": bool(order.quantity % INCREMENT),
        "INVALID_SIZE": order.quantity < SMALLEST,
        "INVALID_PRICE": abs((order.limit or market.price) / market.price - 1) > BAND,
        "INSUFFICIENT_MARGIN": quantity * market.price > MARGIN,
        "POSITION_LIMIT": abs(after) > MOST_HELD and not order.closes,
    }
    return next((error for error, applies in refused.items() if applies), None)


if __name__ == "__main__":
    port = int(os.environ.get("PORT", "8060"))
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", timeout_keep_alive=60)
