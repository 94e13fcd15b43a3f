"""A stub of an exchange: the part of Coinbase's Advanced Trade API that the executor uses.

It fills every order whose terms and funds are right, within a basis point of its limit. POST
/settings changes latency_ms, error_rate and reject_rate while it runs.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import uuid
from collections import Counter
from decimal import Decimal
from typing import Any

import uvicorn
from fastapi import APIRouter, Depends, FastAPI, HTTPException
from pydantic import BaseModel, Field

FUNDS = {"BTC": Decimal("0.1"), "USD": Decimal(10_000)}
REBALANCED = 100  # fills after which the desk restores its funds
BASE_INCREMENT, QUOTE_INCREMENT = Decimal("0.0001"), Decimal("0.01")


class Settings(BaseModel):
    """How it behaves."""

    latency_ms: float = Field(default=5.0, ge=0)
    error_rate: float = Field(default=0.0, ge=0, le=1)
    reject_rate: float = Field(default=0.0, ge=0, le=1)


class Terms(BaseModel):
    """Size and limit, as text with all their digits."""

    base_size: Decimal = Field(gt=0)
    limit_price: Decimal = Field(gt=0)


class NewOrder(BaseModel):
    """An immediate-or-cancel order."""

    client_order_id: str
    product_id: str
    side: str
    order_configuration: dict[str, Terms]


settings = Settings(
    latency_ms=float(os.environ.get("LATENCY_MS", "5")),
    error_rate=float(os.environ.get("ERROR_RATE", "0")),
    reject_rate=float(os.environ.get("REJECT_RATE", "0")),
)
balances = dict(FUNDS)
orders: dict[str, dict[str, Any]] = {}
by_client_id: dict[str, dict[str, Any]] = {}
seen: Counter[str] = Counter()


def falls_on(kind: str, rate: float) -> bool:
    """Whether this one is among the share of `rate`; evenly spread, not random."""
    seen[kind] += 1
    return int(seen[kind] * rate) > int((seen[kind] - 1) * rate)


async def api() -> None:
    """Every call takes its time, and some fail."""
    await asyncio.sleep(settings.latency_ms / 1000)
    if falls_on("error", settings.error_rate):
        raise HTTPException(503, "service unavailable")


app = FastAPI(title="stub of an exchange")
brokerage = APIRouter(prefix="/api/v3/brokerage", dependencies=[Depends(api)])


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}


@app.api_route("/settings", methods=["POST", "PUT"])
async def change(body: dict[str, float]) -> Settings:
    global settings
    settings = Settings(**{**settings.model_dump(), **body})
    return settings


@brokerage.get("/products/{product_id}")
async def product(product_id: str) -> dict[str, str]:
    increments = {"base_increment": str(BASE_INCREMENT), "quote_increment": str(QUOTE_INCREMENT)}
    return {"product_id": product_id, **increments}


@brokerage.get("/accounts")
async def accounts() -> dict[str, Any]:
    held = balances.items()
    return {
        "accounts": [
            {"currency": c, "available_balance": {"value": str(v), "currency": c}} for c, v in held
        ]
    }


@brokerage.get("/orders/historical/{order_id}")
async def historical(order_id: str) -> dict[str, Any]:
    if order_id not in orders:
        raise HTTPException(404, "order not found")
    return {"order": orders[order_id]}


@brokerage.post("/orders")
async def place(order: NewOrder) -> dict[str, Any]:
    known = by_client_id.get(order.client_order_id)
    if known is not None:
        return {"success": True, "success_response": known}
    terms = next(iter(order.order_configuration.values()))
    error = refusal(order, terms)
    if error:
        return {"success": False, "error_response": {"error": error}}
    return {"success": True, "success_response": fill(order, terms)}


def refusal(order: NewOrder, terms: Terms) -> str | None:
    base, quote = order.product_id.split("-")
    if terms.base_size % BASE_INCREMENT:
        return "INVALID_SIZE_PRECISION"
    if terms.limit_price % QUOTE_INCREMENT:
        return "INVALID_PRICE_PRECISION"
    cost = terms.base_size * terms.limit_price
    if balances[quote] < cost if order.side == "BUY" else balances[base] < terms.base_size:
        return "INSUFFICIENT_FUND"
    return "ORDER_ENTRY_DISABLED" if falls_on("reject", settings.reject_rate) else None


def fill(order: NewOrder, terms: Terms) -> dict[str, Any]:
    """Move the money and keep the order."""
    base, quote = order.product_id.split("-")
    buys = 1 if order.side == "BUY" else -1
    better = Decimal(hashlib.sha256(str(terms.limit_price).encode()).digest()[0]) / 256
    price = terms.limit_price * (1 - buys * better / 10_000)
    price = price.quantize(QUOTE_INCREMENT)
    balances[base] += buys * terms.base_size
    balances[quote] -= buys * terms.base_size * price
    placed = {
        "order_id": str(uuid.uuid4()),
        "client_order_id": order.client_order_id,
        "product_id": order.product_id,
        "side": order.side,
    }
    by_client_id[order.client_order_id] = placed
    orders[placed["order_id"]] = {
        **placed,
        "status": "FILLED",
        "filled_size": str(terms.base_size),
        "average_filled_price": str(price),
    }
    if len(orders) % REBALANCED == 0:
        balances.update(FUNDS)
    return placed


app.include_router(brokerage)

if __name__ == "__main__":
    port = int(os.environ.get("PORT", "8060"))
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", timeout_keep_alive=60)
