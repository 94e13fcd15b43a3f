"""Risk: scores a trade by exposure, volatility and doubt, and makes it smaller or refuses it."""

import logging
import os
from typing import Any

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
log = logging.getLogger("risk")

CAPITAL = float(os.environ.get("CAPITAL_USD", "25000"))
MAX_EXPOSURE = 0.04  # of the capital, in one order
WILD = 10.0  # bps a minute; more is no market to trade in
SHARE_OF_SIZE = {"low": 1.0, "medium": 0.25}  # the rest is refused

app = FastAPI(title="risk")
stats = {"approved": 0, "rejected": 0}


class Order(BaseModel):
    """A trade that waits for approval."""

    signal_id: str
    symbol: str
    side: str
    price: float
    quantity: float
    volatility_bps: float
    confidence: float
    llm_confidence: float | None = None


@app.get("/health")
def health() -> dict[str, str]:
    return {"status": "ok"}


@app.get("/stats")
def get_stats() -> dict[str, int]:
    return stats


@app.post("/assess")
def assess(order: Order) -> dict[str, Any]:
    score, worst = score_of(order)
    level = level_of(score)
    approved = level in SHARE_OF_SIZE
    log.info("risk of %s %s is %s (%.2f)", order.side, order.symbol, level, score)
    stats["approved" if approved else "rejected"] += 1
    return {
        "decision": "APPROVE" if approved else "REJECT",
        "score": score,
        "level": level,
        "reason": None if approved else worst,
        "quantity": order.quantity * SHARE_OF_SIZE.get(level, 0.0),
    }


def score_of(order: Order) -> tuple[float, str]:
    """Risk from 0 to 1, and what weighs most in it."""
    doubt = 1.0 - (order.confidence + (order.llm_confidence or 0.5)) / 2
    parts = {
        "exposure": 0.25 * min(1.0, order.quantity * order.price / (MAX_EXPOSURE * CAPITAL)),
        "volatility": 0.45 * min(1.0, order.volatility_bps / WILD),
        "doubt": 0.60 * doubt,
    }
    return round(min(1.0, sum(parts.values())), 4), max(parts, key=lambda name: parts[name])


def level_of(score: float) -> str:
    if score < 0.52:
        return "low"
    if score < 0.62:
        return "medium"
    return "high" if score < 0.75 else "critical"


if __name__ == "__main__":
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=int(os.environ.get("PORT", "8027")),
        log_level="warning",
        timeout_keep_alive=30,  # longer than its clients keep an idle connection
        timeout_graceful_shutdown=5,
    )
