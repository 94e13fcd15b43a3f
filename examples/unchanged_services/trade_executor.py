"""Trade executor: polls approved recommendations and places their orders at the exchange."""

import logging
import os
import threading
import time
from decimal import ROUND_DOWN, Decimal
from typing import Any

import requests
import store
import uvicorn
from fastapi import FastAPI

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


class PrecisionError(Exception):
    """A size that is finer than the exchange takes."""


@app.get("/health")
def health() -> dict[str, str]:
    return {"status": "ok"}


@app.get("/stats")
def get_stats() -> dict[str, int]:
    return stats


def call(method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    answer = exchange.request(method, API + path, json=body, timeout=5)
    answer.raise_for_status()
    found: dict[str, Any] = answer.json()
    return found


def check_precision(size: Decimal, step: Decimal) -> None:
    if size % step:
        raise PrecisionError(f"{size} is finer than the increment {step}")


def check_balance(rec: store.Row, size: Decimal) -> bool:
    """Whether the account can pay for it."""
    base, quote = rec["symbol"].split("-")
    currency = quote if rec["side"] == "buy" else base
    needed = size * Decimal(str(rec["price"])) if rec["side"] == "buy" else size
    accounts = call("GET", "/accounts")["accounts"]
    available = {a["currency"]: Decimal(a["available_balance"]["value"]) for a in accounts}
    return available.get(currency, Decimal(0)) >= needed


def place_order(rec: store.Row) -> dict[str, Any]:
    """Order, and read the fill. The exchange knows the order by the signal's id: once only."""
    product = call("GET", f"/products/{rec['symbol']}")
    size, step = Decimal(str(rec["quantity"])), Decimal(product["base_increment"])
    try:
        check_precision(size, step)
    except PrecisionError as error:
        size = (size / step).to_integral_value(ROUND_DOWN) * step
        log.warning("%s, ordering %s", error, size)
    # At a later attempt the money may have moved already.
    if rec["attempts"] == 1 and not check_balance(rec, size):
        return {"success": False, "error": "the balance is too low"}
    terms = {"base_size": str(size), "limit_price": str(rec["price"])}
    order = {
        "client_order_id": rec["signal_id"],
        "product_id": rec["symbol"],
        "side": rec["side"].upper(),
        "order_configuration": {"sor_limit_ioc": terms},
    }
    answer = call("POST", "/orders", order)
    if not answer["success"]:
        return {"success": False, "error": answer["error_response"]["error"]}
    order_id = answer["success_response"]["order_id"]
    placed = call("GET", f"/orders/historical/{order_id}")["order"]
    fill = {"size": float(placed["filled_size"]), "price": float(placed["average_filled_price"])}
    return {"success": True, "order_id": order_id, **fill}


def execute_trade(rec: store.Row, db: store.Database) -> dict[str, Any]:
    """Place the order of one recommendation and write what became of it."""
    number, attempt = rec["id"], rec["attempts"]
    try:
        result = place_order(rec)
    except requests.RequestException as error:
        retry = attempt < ATTEMPTS
        db.finish(number, "pending" if retry else "rejected", reason=str(error))
        log.warning("attempt %d failed: %s", attempt, error)
        return {"success": False, "retry": retry, "error": f"the exchange failed: {error}"}
    except (ArithmeticError, LookupError, ValueError) as error:
        result = {"success": False, "error": str(error)}
    if result["success"]:
        db.finish(number, "filled", order_id=result["order_id"], fill_price=result["price"])
        log.info("%s %s filled at %.2f", rec["side"], result["size"], result["price"])
    else:
        db.finish(number, "rejected", reason=result["error"])
        log.info("order refused: %s", result["error"])
    return result


def count_pending(db: store.Database) -> int:
    return db.waiting()


def poll() -> None:
    """Take pending recommendations for ever; first what an earlier run of this program left."""
    db = store.connect()
    db.release()
    while True:
        try:
            if count_pending(db):
                time.sleep(PAUSE)
                for rec in db.claim(BATCH):
                    result = execute_trade(rec, db)
                    bad = "retried" if result.get("retry") else "rejected"
                    stats["filled" if result["success"] else bad] += 1
        except Exception:
            log.exception("the poll failed")
            time.sleep(1.0)
        time.sleep(POLL)


if __name__ == "__main__":
    threading.Thread(target=poll, daemon=True).start()
    port = int(os.environ.get("PORT", "8024"))
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", timeout_graceful_shutdown=5)
