"""Signals: what the agency sells, trades a little itself, and later checks against the price."""

from __future__ import annotations

import itertools
import logging
import os
from collections import deque
from dataclasses import asdict, dataclass
from typing import Any

import desk
import httpx
import service

import tradespan
from tradespan.recorders import business

NAME = "momentum-rater-1"  # the model
LOOK_BACK, HORIZON, PAUSE = 5, 10, 8  # bars
STRONG = 1.5  # momentum in usual steps; less is no signal
HOUSE_USD = 5000.0  # what the agency trades on a signal

log = logging.getLogger("trading.signals")

model = service.peer(os.environ.get("MODEL_URL", "http://127.0.0.1:8092"), timeout=5.0)


@dataclass
class Published:
    """A signal that customers can read."""

    signal_id: str
    symbol: str
    side: desk.Side
    price: float
    confidence: float
    bar: int


@dataclass
class Position:
    """What the agency holds of one instrument; negative where it owes it."""

    quantity: float = 0.0
    cost: float = 0.0  # average price
    realized: float = 0.0

    def trade(self, quantity: float, price: float) -> None:
        """Add a fill; what closes a part of the position realizes profit or loss."""
        if self.quantity * quantity < 0:
            closed = min(abs(quantity), abs(self.quantity))
            sign = 1 if self.quantity > 0 else -1
            self.realized += closed * (price - self.cost) * sign
            left = quantity + sign * closed
            self.quantity -= sign * closed
            quantity = left
        if quantity:
            held = abs(self.quantity) + abs(quantity)
            self.cost = (self.cost * abs(self.quantity) + price * abs(quantity)) / held
            self.quantity += quantity


published: deque[Published] = deque(maxlen=20)
undecided: list[Published] = []
positions: dict[str, Position] = {}
last: dict[str, int] = {}  # bar of the last signal, by instrument


def consider(symbol: str, closes: list[float], bar: int) -> None:
    """Look at the newest bar of an instrument; perhaps it is a signal."""
    momentum, usual = strength(closes)
    side: desk.Side = "buy" if momentum > 0 else "sell"
    with tradespan.signal(symbol=symbol, signal_type="momentum", side=side) as s:
        if abs(momentum) < STRONG * usual or bar - last.get(symbol, -PAUSE) < PAUSE:
            s.skip("no momentum")
            return
        last[symbol] = bar
        signal_id, handed_on = s.signal_id, tradespan.inject()
    with tradespan.orchestration(carrier=handed_on, symbol=symbol, side=side) as o:
        try:
            confidence = rate(momentum, usual)
        except (Unrated, httpx.HTTPError) as error:
            log.warning("not published: %s", error, extra={"symbol": symbol})
            desk.stats.add("unrated")
            o.reject(str(error))
            return
        publish(Published(signal_id, symbol, side, closes[-1], confidence, bar))
        trade(symbol, side, closes[-1], o)


def strength(closes: list[float]) -> tuple[float, float]:
    """How far the price went lately, and how far it usually goes in that time."""
    steps = [b / a - 1 for a, b in itertools.pairwise(closes)]
    usual = sum(map(abs, steps)) / len(steps) * LOOK_BACK**0.5
    return closes[-1] / closes[-1 - LOOK_BACK] - 1, usual


def rate(momentum: float, usual: float) -> float:
    """How sure the model is. Raises Unrated or HTTPError where it does not say, or is not sure."""
    with tradespan.validation(model=NAME) as v:
        answer = model.post("/rate", json={"momentum": momentum, "usual": usual})
        if answer.status_code == 429:
            business.rate_limited("model")
            desk.stats.add("model_limits")
            v.skip("rate limit of the model")
        elif answer.raise_for_status().json()["confidence"] < 0.5:
            v.reject("the model is not sure", confidence=answer.json()["confidence"])
        else:
            confidence: float = answer.json()["confidence"]
            v.approve(confidence)
            return confidence
    raise Unrated(str(v.values["reason"]))


class Unrated(Exception):  # noqa: N818 - no error of ours
    """The model has given no rating that one can sell."""


def publish(signal: Published) -> None:
    published.append(signal)
    undecided.append(signal)
    business.signal(signal.confidence)
    desk.stats.add("published")
    log.info("published: %s %s", signal.side, signal.symbol, extra=asdict(signal))


def trade(symbol: str, side: desk.Side, price: float, o: tradespan.Orchestration) -> None:
    """Trade a little on the agency's own account."""
    order = desk.Order(desk.HOUSE, symbol, side, round(HOUSE_USD / price, 6))
    try:
        fill = desk.place(order, o)
    except httpx.HTTPError as error:
        log.error("not traded: %r", error, extra={"symbol": symbol})
        return
    if fill.quantity:
        signed = fill.quantity if side == "buy" else -fill.quantity
        positions.setdefault(symbol, Position()).trade(signed, fill.price)


def judge(price_of: dict[str, float], bar: int) -> None:
    """Tell of each signal whose time has come whether it was right."""
    for signal in [s for s in undecided if bar - s.bar >= HORIZON]:
        undecided.remove(signal)
        moved = price_of[signal.symbol] - signal.price
        correct = moved > 0 if signal.side == "buy" else moved < 0
        business.signal_outcome(correct)
        desk.stats.add("correct" if correct else "wrong")


def value(price_of: dict[str, float]) -> None:
    """Tell what the agency's own trades have brought."""
    open_ = [p.quantity * (price_of[symbol] - p.cost) for symbol, p in positions.items()]
    realized = sum(p.realized for p in positions.values())
    business.pnl(realized=realized, unrealized=sum(open_))


def look(feed: dict[str, Any]) -> None:
    """One new bar of everything."""
    price_of = {symbol: closes[-1] for symbol, closes in feed["closes"].items()}
    desk.look(price_of)
    judge(price_of, feed["number"])
    for symbol, closes in feed["closes"].items():
        consider(symbol, closes, feed["number"])
    value(price_of)
