"""The desk: an order is looked at by risk, and goes to the exchange, at once or at its limit.

Orders that wait for their price carry their journey with them, so that it goes on hours later.
"""

from __future__ import annotations

import itertools
import logging
import os
import time
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import httpx
import service

import tradespan
from tradespan.recorders import business

Side = Literal["buy", "sell"]
LARGEST = 100_000.0  # USD in one order
WILD = 15.0  # bps a bar; more is no market to trade in
LEVELS = ((0.5, "low"), (0.7, "medium"), (0.9, "high"))
FEE = 0.001  # of what a customer trades
HOUSE = "house"  # the agency itself, which pays no fees
RESULTS = {"FILLED": "filled", "PARTIALLY_FILLED": "partial", "REJECTED": "rejected"}

log = logging.getLogger("orders")
revenue = logging.getLogger("billing.fees")

stats = service.Counts()
market = service.peer(os.environ.get("MARKET_DATA_URL", "http://127.0.0.1:8083"))
exchange = service.peer(os.environ.get("EXCHANGE_URL", "http://127.0.0.1:8091"), timeout=5.0)
numbers = itertools.count(1)


@dataclass
class Order:
    """What somebody wants to trade."""

    owner: str
    symbol: str
    side: Side
    quantity: float
    limit: float | None = None
    good_for: float = 60.0  # seconds
    order_id: str = field(default_factory=lambda: f"o-{next(numbers)}")
    began: float = field(default_factory=time.monotonic)
    journey: dict[str, str] = field(default_factory=dict)

    def takes(self, price: float) -> bool:
        """Whether it trades at this price."""
        if self.limit is None:
            return True
        return price <= self.limit if self.side == "buy" else price >= self.limit


@dataclass
class Fill:
    """What came of an order."""

    result: str
    quantity: float = 0.0
    price: float = 0.0
    reason: str = ""


waiting: dict[str, Order] = {}


def place(order: Order, o: tradespan.Orchestration) -> Fill:
    """Have the order looked at, and send it to the exchange, or let it wait for its price.

    Arguments:
        o: what leads the order; it is told what risk says.

    Raises:
        httpx.HTTPError: nobody knows the price.
    """
    quote = market.get(f"/quotes/{order.symbol}").raise_for_status().json()
    refusal = assess(order, quote)
    if refusal:
        o.reject(refusal)
        return ended(order, Fill("rejected", reason=refusal))
    o.approve()
    order.journey = tradespan.inject()
    if order.takes(quote["price"]):
        return execute(order, quote["price"])
    waiting[order.order_id] = order
    stats.add("waited")
    log.info("waits for its price", extra=facts(order))
    return Fill("waiting")


def assess(order: Order, quote: dict[str, Any]) -> str:
    """Why risk refuses an order; empty where it does not."""
    with tradespan.risk(symbol=order.symbol) as r:
        size = 0.7 * order.quantity * quote["price"] / LARGEST
        wild = 0.3 * min(1.0, quote["volatility_bps"] / WILD)
        score = round(min(1.0, size + wild), 3)
        level: Any = next((name for bound, name in LEVELS if score < bound), "critical")
        if level in ("low", "medium"):
            r.approve(score=score, level=level)
            return ""
        reason = "size" if size > wild else "volatility"
        r.reject(reason, score=score, level=level)
        return f"risk: {reason}"


def execute(order: Order, price: float) -> Fill:
    """Send the order to the exchange."""
    with tradespan.execution(
        carrier=order.journey, symbol=order.symbol, side=order.side, venue="exchange"
    ) as e:
        fill = send(order, price)
        if fill.result == "rejected":
            e.reject(fill.reason).set(order_id=order.order_id)
        else:
            partial = fill.result == "partial"
            e.filled(fill.quantity, fill.price, order.order_id, partial=partial)
        return ended(order, fill)


def send(order: Order, price: float) -> Fill:
    """What the exchange makes of the order."""
    body = {
        "client_order_id": order.order_id,
        "symbol": order.symbol,
        "side": order.side,
        "quantity": order.quantity,
        "price": price,
    }
    try:
        answer = exchange.post("/orders", json=body)
        if answer.status_code == 429:
            business.rate_limited("exchange")
            stats.add("exchange_limits")
            return Fill("rejected", reason="rate limit of the exchange")
        said = answer.raise_for_status().json()
    except httpx.HTTPError as error:
        logging.getLogger("desk").error("the exchange does not answer: %r", error)
        return Fill("rejected", reason="the exchange does not answer")
    result = RESULTS[said["status"]]
    return Fill(result, said["filled"], said["average_price"], said.get("reason", ""))


def withdraw(order_id: str, owner: str) -> bool:
    """Cancel an order of this owner that still waits."""
    order = waiting.get(order_id)
    if order is None or order.owner != owner or waiting.pop(order_id, None) is None:
        return False
    with tradespan.execution(carrier=order.journey, symbol=order.symbol, side=order.side) as e:
        e.end_as("cancelled", "by the customer").set(order_id=order_id)
        ended(order, Fill("cancelled", reason="by the customer"))
    return True


def look(price_of: dict[str, float]) -> None:
    """Execute what has got its price, and let go what has waited too long."""
    for order in list(waiting.values()):
        late = time.monotonic() - order.began > order.good_for
        takes = order.takes(price_of[order.symbol])
        if not (late or takes) or waiting.pop(order.order_id, None) is None:
            continue
        service.user_id.set(order.owner)
        if not late:
            execute(order, price_of[order.symbol])
            continue
        with tradespan.execution(carrier=order.journey, symbol=order.symbol, side=order.side) as e:
            e.end_as("expired", "time in force").set(order_id=order.order_id)
            ended(order, Fill("expired", reason="time in force"))
    service.user_id.set("")


def ended(order: Order, fill: Fill) -> Fill:
    """Count an order that has ended, and what it brings."""
    business.order(fill.result)
    stats.add(fill.result)
    said = {k: v for k, v in asdict(fill).items() if v} | facts(order)
    log.info("%s %s: %s", order.side, order.symbol, fill.result, extra=said)
    if fill.quantity:
        usd = fill.quantity * fill.price
        business.volume(usd, order.symbol)
        if order.owner != HOUSE:
            business.revenue(usd * FEE, "trading_fees")
            revenue.info("fee booked", extra={**facts(order), "fee_usd": round(usd * FEE, 2)})
    return fill


def facts(order: Order) -> dict[str, Any]:
    shown = {"order_id": order.order_id, "symbol": order.symbol, "side": order.side}
    return {**shown, "quantity": order.quantity}
