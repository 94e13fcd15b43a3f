"""Payment: charges cards at the acquirer, and tells user management what has been paid for."""

from __future__ import annotations

import logging
import os
from typing import Literal

import httpx
import service
from fastapi import HTTPException
from pydantic import BaseModel

from tradespan.recorders import business

PRICES = {"pro": 49.0, "history": 9.0}  # USD
SOURCES = {"pro": "subscriptions", "history": "data"}
TRIES = 3  # of one charge

log = logging.getLogger("charging")
revenue = logging.getLogger("payments")

stats = service.Counts("succeeded", "failed", "cents")
app = service.application("payment", stats)
acquirer = service.peer(os.environ.get("ACQUIRER_URL", "http://127.0.0.1:8090"), timeout=5.0)
users = service.peer(os.environ.get("USERS_URL", "http://127.0.0.1:8081"))


class Payment(BaseModel):
    """What a customer buys."""

    product: Literal["pro", "history"]
    card: str


@app.post("/payments", status_code=201)
def pay(body: Payment) -> dict[str, str | float]:
    amount, source = PRICES[body.product], SOURCES[body.product]
    facts = {"product": body.product, "amount_usd": amount, "card": f"*{body.card[-4:]}"}
    answer = charge(body.card, amount)
    approved = answer is not None and answer.status_code == 200
    business.payment(approved)
    stats.add("succeeded" if approved else "failed")
    if answer is None:
        revenue.warning("a payment could not be made", extra=facts)
        raise HTTPException(502, "the acquirer does not answer")
    if not approved:
        reason = str(answer.json().get("reason", answer.status_code))
        revenue.warning("a payment was declined", extra={**facts, "reason": reason})
        raise HTTPException(402, reason)
    business.revenue(amount, source)
    stats.add("cents", round(amount * 100))
    revenue.info("a payment was made", extra={**facts, "source": source})
    deliver(body.product)
    return {"product": body.product, "amount_usd": amount}


def charge(card: str, amount: float) -> httpx.Response | None:
    """The acquirer's answer; None where there is none after several tries."""
    for attempt in range(1, TRIES + 1):
        order = {"card": card, "amount_usd": amount, "reference": service.request_id.get()}
        try:
            answer = acquirer.post("/charges", json=order)
        except httpx.HTTPError as error:
            log.error("the acquirer does not answer: %r", error, extra={"attempt": attempt})
            continue
        if not answer.is_server_error:
            return answer
        log.error("the acquirer fails: %d", answer.status_code, extra={"attempt": attempt})
    return None


def deliver(product: str) -> None:
    """Give the customer what was paid for; the history of prices is sent by mail."""
    if product == "pro":
        order = {"user_id": service.user_id.get(), "plan": product}
        try:
            users.post("/internal/plans", json=order).raise_for_status()
        except httpx.HTTPError as error:
            log.error("paid, but the plan is not changed: %r", error, extra={"product": product})


if __name__ == "__main__":
    business.open(sources=SOURCES.values())
    service.serve(app, 8082)
