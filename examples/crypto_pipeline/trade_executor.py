"""Trade executor: polls approved recommendations and places their orders at the exchange."""

import logging
import os
import threading
import time
from decimal import ROUND_DOWN, Decimal
from typing import Any, NamedTuple

import database
import requests
import uvicorn
from fastapi import FastAPI
from ledger import note
from ports import HOST, service_port

import tradespan

logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
log = logging.getLogger("trade_executor")

API = os.environ.get("EXCHANGE_URL", "http://127.0.0.1:8060") + "/api/v3/brokerage"
PAUSE = float(os.environ.get("EXECUTOR_PAUSE_MS", "0")) / 1000
POLL = 0.01  # seconds
BATCH = 10
ATTEMPTS = 3

app = FastAPI(title="trade executor")
stats = {"filled": 0, "rejected": 0, "retried": 0}
exchange = requests.Session()


class Fill(NamedTuple):
    """What the exchange did."""

    order_id: str
    quantity: float
    price: float


class RefusedError(Exception):
    """The order cannot be placed, now or later."""


@app.get("/health")
def health() -> dict[str, str]:
    return {"status": "ok"}


@app.get("/stats")
def get_stats() -> dict[str, int]:
    return stats


def call(method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    with tradespan.call("exchange"):
        answer = exchange.request(method, API + path, json=body, timeout=5)
    answer.raise_for_status()
    found: dict[str, Any] = answer.json()
    return found


def rounded(quantity: float, increment: str, symbol: str) -> Decimal:
    """The quantity as the exchange takes it."""
    exact, step = Decimal(str(quantity)), Decimal(increment)
    fitting = (exact / step).to_integral_value(ROUND_DOWN) * step
    if fitting != exact:
        tradespan.count("order_precision_errors", symbol=symbol)
        log.warning("%s is finer than the increment %s, ordering %s", exact, step, fitting)
    return fitting


def check_balance(row: database.Row, quantity: Decimal) -> None:
    """Refuse what the account cannot pay for."""
    base, quote = row["symbol"].split("-")
    currency = quote if row["side"] == "buy" else base
    needed = quantity * Decimal(str(row["price"])) if row["side"] == "buy" else quantity
    accounts = call("GET", "/accounts")["accounts"]
    available = {a["currency"]: Decimal(a["available_balance"]["value"]) for a in accounts}
    if available.get(currency, Decimal(0)) < needed:
        tradespan.count("balance_check_failures", symbol=row["symbol"])
        raise RefusedError(f"not enough {currency}")


def place(row: database.Row) -> Fill:
    """Order, and read the fill. The exchange knows the order by the signal's id: once only."""
    product = call("GET", f"/products/{row['symbol']}")
    quantity = rounded(row["quantity"], product["base_increment"], row["symbol"])
    if row["attempts"] == 1:  # later the money may have moved already
        check_balance(row, quantity)
    terms = {"base_size": str(quantity), "limit_price": str(row["price"])}
    order = {
        "client_order_id": row["signal_id"],
        "product_id": row["symbol"],
        "side": row["side"].upper(),
        "order_configuration": {"sor_limit_ioc": terms},
    }
    answer = call("POST", "/orders", order)
    if not answer["success"]:
        raise RefusedError(answer["error_response"]["error"])
    order_id = answer["success_response"]["order_id"]
    placed = call("GET", f"/orders/historical/{order_id}")["order"]
    return Fill(order_id, float(placed["filled_size"]), float(placed["average_filled_price"]))


def execute(row: database.Row, db: database.Database) -> None:
    """Place the order of one recommendation and write what became of it."""
    number, attempt = row["id"], row["attempts"]
    with tradespan.execution(
        carrier=row, symbol=row["symbol"], side=row["side"], venue="coinbase", attempt=attempt
    ) as e:
        try:
            fill = place(row)
        except requests.RequestException as error:
            if attempt < ATTEMPTS:
                outcome, status = "error", "pending"
                e.retry(f"the exchange failed: {error}")
            else:
                outcome = status = "rejected"
                e.reject("the exchange failed too often")
            db.finish(number, status, reason=str(error))
            log.warning("attempt %d failed: %s", attempt, error)
        except (RefusedError, ArithmeticError, LookupError, ValueError) as error:
            outcome = "rejected"
            e.reject(str(error))
            db.finish(number, "rejected", reason=str(error))
            log.info("order refused: %s", error)
        else:
            outcome = "ok"
            e.filled(quantity=fill.quantity, price=fill.price, order_id=fill.order_id)
            db.finish(number, "filled", order_id=fill.order_id, fill_price=fill.price)
            log.info("%s %s filled at %.2f", row["side"], fill.quantity, fill.price)
    note("trade-executor", "execution", row["signal_id"], outcome)
    stats[{"ok": "filled", "rejected": "rejected", "error": "retried"}[outcome]] += 1


def poll(db: database.Database) -> None:
    """Take pending recommendations for ever; first what an earlier run of this program left."""
    db.release()
    while True:
        try:
            waiting = db.waiting()
            tradespan.value("pending_recommendations", waiting)
            if waiting:
                time.sleep(PAUSE)
                for row in db.claim(BATCH):
                    execute(row, db)
        except Exception:
            log.exception("the poll failed")
            time.sleep(1.0)
        time.sleep(POLL)


if __name__ == "__main__":
    threading.Thread(target=poll, args=[database.from_environment()], daemon=True).start()
    port = service_port(8024)
    uvicorn.run(app, host=HOST, port=port, log_level="warning", timeout_graceful_shutdown=5)
