"""Orders at the exchange: what it takes becomes a fill, what it refuses is counted by reason."""

from __future__ import annotations

import logging
import os
from collections import Counter

import httpx
from book import Quote, Side
from pydantic import BaseModel

import tradespan
from tradespan.recorders import exchange

log = logging.getLogger("venue")

VENUE = "simulated"
REASONS = {  # the exchange's words in those of our metrics
    "INVALID_TOKEN": "authentication",
    "TOO_MANY_REQUESTS": "rate_limit",
    "MARKET_CLOSED": "market_closed",
    "DUPLICATE_ORDER_ID": "duplicate",
    "INVALID_PRECISION": "precision",
    "INVALID_SIZE": "size",
    "INVALID_PRICE": "price",
    "INSUFFICIENT_MARGIN": "balance",
    "POSITION_LIMIT": "risk",
}

rejections: Counter[str] = Counter()
api = httpx.Client(base_url=os.environ.get("EXCHANGE_URL", "http://127.0.0.1:8060"), timeout=5.0)


class Order(BaseModel):
    """At the market, or at a limit and at once."""

    order_id: str
    symbol: str
    side: Side
    quantity: float
    limit: float | None = None
    closes: bool = False  # a trade that is on


class RefusedError(Exception):
    """The exchange does not take the order; the text is one of our reasons."""


def quote() -> Quote:
    """What the exchange shows now."""
    return Quote(**api.get("/ticker").raise_for_status().json())


def log_in() -> None:
    """Get a token; it lasts for a number of orders."""
    api.headers["x-token"] = api.post("/login").raise_for_status().json()["token"]


def execute(order: Order, expected: float) -> float:
    """Place an order; the price of its fill.

    Arguments:
        order: it stands for the whole quantity or not at all.
        expected: the price at which it was decided.

    Raises:
        RefusedError: the exchange does not take it.
    """
    with tradespan.execution(symbol=order.symbol, side=order.side, venue=VENUE) as e:
        body = {"client_order_id": order.order_id, "side": order.side}
        terms = {"quantity": str(order.quantity), "limit": order.limit, "closes": order.closes}
        answer = api.post("/orders", json={**body, **terms}).json()
        reason = REASONS[answer["error"]] if "error" in answer else None
        if reason is None:
            price = float(answer["price"])
            e.filled(quantity=order.quantity, price=price, order_id=answer["order_id"])
        else:
            e.reject(reason)
    if reason is None:
        exchange.slippage(expected, price, order.side)
        return price
    exchange.rejected(reason)
    rejections[reason] += 1
    log.info("%s refused: %s", order.order_id, reason)
    if reason == "authentication":
        log_in()
    raise RefusedError(reason)
