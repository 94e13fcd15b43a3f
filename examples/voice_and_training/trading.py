"""Trading: has orders of the voice assistant judged by the policy, places them, closes the trades.

A FastAPI application with its exporter inside: /metrics and /health beside its own routes.
"""

import json
import logging
import os
import threading
import time
from collections import Counter, deque
from typing import Any

import httpx
import redis
import uvicorn
import venue
from book import Book, Position, Quote
from fastapi import FastAPI
from policy import Policy
from starlette.routing import Route

import tradespan
from tradespan.export import endpoints
from tradespan.recorders import exchange

logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
logging.getLogger("httpx").setLevel(logging.WARNING)
log = logging.getLogger("trading")

INTERVAL = float(os.environ.get("INTERVAL_MS", "1000")) / 1000
DOUBT, EXPLORED = 0.65, 3  # risk above which only every third order is let through, to learn

exporter = endpoints.asgi_app()
app = FastAPI(title="trading", routes=[Route("/metrics", exporter), Route("/health", exporter)])
stats: Counter[str] = Counter()
returns: deque[float] = deque(maxlen=50)
book, policy = Book(), Policy()
store = redis.Redis.from_url(
    os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0"), decode_responses=True, protocol=2
)


@app.get("/stats")
def get_stats() -> dict[str, Any]:
    return {**stats, "open": len(book.positions()), "rejections": venue.rejections}


@app.get("/return")
def get_return() -> dict[str, float]:
    return {"roi": sum(returns) / max(1, len(returns))}


@app.post("/orders")
def take(order: venue.Order) -> dict[str, Any]:
    """Lead an order through the policy's judgement to the exchange."""
    quote = book.quote
    features = book.features(order.side)
    chance = policy.chance(features)
    with tradespan.orchestration(symbol=order.symbol, side=order.side) as o:
        if not allowed(order, chance):
            o.reject("the policy expects a loss")
            return {"status": "refused", "reason": "the policy expects a loss"}
        try:
            price = venue.execute(order, quote.touch(order.side))
        except venue.RefusedError as error:
            return {"status": "rejected", "reason": str(error)}
        journey = tradespan.inject()  # the end of the trade will link to it
    terms = (order.order_id, order.symbol, order.side, order.quantity, price)
    book.enter(Position(*terms, quote.tick, features, chance, journey))
    exchange.executed()
    stats["executed"] += 1
    return {"status": "filled", "price": price}


def allowed(order: venue.Order, chance: float) -> bool:
    """Whether the policy lets the order through."""
    with tradespan.risk(symbol=order.symbol) as r:
        score = 1 - chance
        if score > DOUBT:
            stats["doubted"] += 1
            if stats["doubted"] % EXPLORED:
                r.reject("the policy expects a loss", score=score, level="high")
                return False
        r.approve(score=score, level="low" if score < 0.5 else "medium")
    return True


def close(trade: Position, quote: Quote) -> None:
    """End a trade by the opposite order, and hand its experience on."""
    with tradespan.signal(symbol=trade.symbol, signal_type="exit") as s:
        s.link(trade.journey)
        order = venue.Order(
            order_id=f"{trade.order_id}-exit-{quote.tick}",
            symbol=trade.symbol,
            side=trade.other_side,
            quantity=trade.quantity,
            closes=True,
        )
        try:
            price = venue.execute(order, quote.touch(order.side))
        except venue.RefusedError:
            return  # again in the next round, if it is still over
        roi = trade.roi(price)
        book.leave(trade)
        exchange.closed(roi * trade.quantity * trade.price)
        stats["won" if roi > 0 else "lost" if roi < 0 else "flat"] += 1
        returns.append(roi)
        experience = {"order_id": trade.order_id, "features": trade.features, "roi": roi}
        entry = tradespan.inject({"experience": json.dumps(experience)})
        store.xadd("experience", entry, maxlen=1000)


def watch() -> None:
    """Look at the price and at the newest policy, and close what is over; one round."""
    global policy
    quote = venue.quote()
    book.see(quote)
    store.xadd("market", {"features": json.dumps(book.features("buy"))}, maxlen=1000)
    learned = store.get("policy")
    if learned:
        policy = Policy(json.loads(str(learned)))
    trades = book.positions()
    if trades:
        exchange.projected_roi(sum(trade.projected for trade in trades) / len(trades))
    for trade in trades:
        if trade.is_over(quote):
            close(trade, quote)


def trade_on() -> None:
    """Round after round, for ever."""
    while True:
        try:
            watch()
        except (httpx.HTTPError, redis.RedisError) as error:
            log.warning("this round failed: %r", error)
        except Exception:
            log.exception("this round failed")
        time.sleep(INTERVAL)


if __name__ == "__main__":
    exchange.open()
    venue.log_in()
    book.see(venue.quote())
    threading.Thread(target=trade_on, daemon=True).start()
    port = int(os.environ.get("PORT", "8775"))
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", timeout_graceful_shutdown=5)
