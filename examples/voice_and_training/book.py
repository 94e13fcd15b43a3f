"""The desk's book: what the market looks like, which positions are open, and when they end."""

from __future__ import annotations

import itertools
import threading
from collections import deque
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

Side = Literal["buy", "sell"]

WINDOW = 6  # ticks that make a trend
TARGET, STOP = 0.0015, 0.0015  # of the price
PATIENCE = 12  # ticks


class Quote(NamedTuple):
    """What the exchange shows."""

    tick: int
    bid: float
    ask: float

    def touch(self, side: Side) -> float:
        """The price that an order of this side meets."""
        return self.ask if side == "buy" else self.bid


@dataclass
class Position:
    """A trade that is on."""

    order_id: str
    symbol: str
    side: Side
    quantity: float
    price: float
    since: int  # tick
    features: list[float]
    chance: float  # of winning, as the policy saw it
    journey: dict[str, str] = field(default_factory=dict)  # that led to it

    @property
    def other_side(self) -> Side:
        """That closes it."""
        return "sell" if self.side == "buy" else "buy"

    @property
    def projected(self) -> float:
        """The return that its plan promises: target and stop, by their chances."""
        return self.chance * TARGET - (1 - self.chance) * STOP

    def roi(self, price: float) -> float:
        """Its return at a price."""
        return (price / self.price - 1) * (1 if self.side == "buy" else -1)

    def is_over(self, quote: Quote) -> bool:
        """Whether target, stop or patience has been reached."""
        now = self.roi(quote.touch(self.other_side))
        return now >= TARGET or now <= -STOP or quote.tick - self.since >= PATIENCE


class Book:
    """Quotes and positions; for several threads."""

    def __init__(self) -> None:
        self._quotes: deque[Quote] = deque(maxlen=WINDOW)
        self._open: dict[str, Position] = {}
        self._lock = threading.Lock()

    def see(self, quote: Quote) -> None:
        """Note what the exchange shows."""
        with self._lock:
            if not self._quotes or quote.tick > self._quotes[-1].tick:
                self._quotes.append(quote)

    @property
    def quote(self) -> Quote:
        """The newest one; there must have been one."""
        with self._lock:
            return self._quotes[-1]

    def features(self, side: Side) -> list[float]:
        """What the policy looks at, in basis points: momentum, volatility, spread."""
        with self._lock:
            quotes = list(self._quotes)
        middles = [(quote.bid + quote.ask) / 2 for quote in quotes]
        moves = [(b / a - 1) * 1e4 for a, b in itertools.pairwise(middles)] or [0.0]
        sign = 1 if side == "buy" else -1
        volatility = (sum(move**2 for move in moves) / len(moves)) ** 0.5
        spread = (quotes[-1].ask / quotes[-1].bid - 1) * 1e4
        return [sign * sum(moves), volatility, spread]

    def enter(self, position: Position) -> None:
        """A position is on."""
        with self._lock:
            self._open[position.order_id] = position

    def leave(self, position: Position) -> None:
        """It is over."""
        with self._lock:
            del self._open[position.order_id]

    def positions(self) -> list[Position]:
        """Those that are on."""
        with self._lock:
            return list(self._open.values())
