"""Trader: executes what stands in `trader:decisions` and writes the stream `positions`.

The venue is simulated: an order takes some milliseconds and fills a little off the price. Now and
then the acknowledgement of an entry gets lost, so that it comes again; it is not executed twice.
"""

import logging
import os
import random
import threading
import time
from collections import deque

import bus
import uvicorn
from fastapi import FastAPI

import tradespan
from tradespan.handoffs import redis as queues

logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
log = logging.getLogger("trader")

GROUP = "traders"
NOTIONAL = 10_000.0  # USD of one position
MOST_OPEN = 5  # positions at a time
SLIPPAGE, FEE = 0.0005, 0.0006  # of the price, of the value
LOST_ACK = 40  # one acknowledgement in so many gets lost

app = FastAPI(title="trader")
cash = 100_000.0
held: dict[str, float] = {}  # quantity by symbol, negative is short
seen: deque[str] = deque(maxlen=1000)  # the latest ids; what comes again comes within seconds
stats = {"filled": 0, "rejected": 0, "held": 0, "again": 0, "lost_acks": 0}
rng = random.Random(11)


@app.get("/health")
def health() -> dict[str, str]:
    return {"status": "ok"}


@app.get("/stats")
def get_stats() -> dict[str, int]:
    return stats


def quantity_of(symbol: str, action: str, price: float) -> float:
    """What to buy (above 0) or sell. Raises ValueError where the action makes no sense."""
    has = held.get(symbol, 0.0)
    if action in ("sell", "cover"):
        if has * (1 if action == "sell" else -1) <= 0:
            raise ValueError(f"nothing to {action}")
        return -has
    if has:
        raise ValueError("there is a position already")
    if len(held) >= MOST_OPEN:
        raise ValueError("too many open positions")
    return NOTIONAL / price * (1 if action == "buy" else -1)


def fill(symbol: str, quantity: float, price: float) -> float:
    """Place the order at the simulated venue; the average price."""
    global cash
    time.sleep(rng.uniform(0.001, 0.006))
    price *= 1 + rng.uniform(0, SLIPPAGE) * (1 if quantity > 0 else -1)
    cash -= quantity * price + abs(quantity) * price * FEE
    held[symbol] = held.get(symbol, 0.0) + quantity
    if not held[symbol]:
        del held[symbol]
    return price


def execute(e: tradespan.Execution, fields: dict[str, str]) -> str:
    """Execute one decision, unless that was done before; what came of it."""
    symbol, action, price = fields["symbol"], fields["action"], float(fields["price"])
    if fields["id"] in seen:
        e.skip("executed before")
        return "again"
    seen.append(fields["id"])
    if action == "hold":
        e.skip("hold")
        return "held"
    try:
        quantity = quantity_of(symbol, action, price)
    except ValueError as error:
        e.reject(str(error))
        log.info("%s of %s rejected, %s", action, symbol, error)
        return "rejected"
    side = "buy" if quantity > 0 else "sell"
    paid = fill(symbol, quantity, price)
    e.set(side=side).filled(quantity=abs(quantity), price=paid, order_id=fields["id"])
    log.info("%s %.6g %s at %.6g", side, abs(quantity), symbol, paid)
    return "filled"


def process(fields: dict[str, str], attempt: int) -> None:
    symbol = fields["symbol"]
    venue = "simulated"
    with tradespan.execution(fields, symbol=symbol, venue=venue, attempt=attempt) as e:
        result = execute(e, fields)
        if result != "again":
            position = {
                "symbol": symbol,
                "quantity": repr(held.get(symbol, 0.0)),
                "price": fields["price"],
                "cash": repr(cash),
            }
            bus.write(group.client, bus.POSITIONS, tradespan.inject(position))
    stats[result] += 1


def consume() -> None:
    while True:
        try:
            for entry, fields, attempt in group.read():
                process(fields, attempt)
                if attempt == 1 and rng.randrange(LOST_ACK) == 0:
                    stats["lost_acks"] += 1
                    continue
                group.done(entry)
        except Exception:
            log.exception("a decision is not executed")
            time.sleep(0.5)


if __name__ == "__main__":
    group = bus.Group(bus.connect(), bus.DECISIONS, GROUP)
    queues.watch(bus.DECISIONS, GROUP, interval=1.0)
    threading.Thread(target=consume, daemon=True).start()
    port = int(os.environ.get("PORT", "8011"))
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", timeout_graceful_shutdown=5)
