"""The book: cash, positions and what they are worth. Its fills are simulated."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypedDict

SLIPPAGE = 0.0002  # of the price, against us
ORDER_SHARE = 0.08  # of the value of the book, in an order that opens


class Summary(TypedDict):
    """USD, and percent since the book began."""

    total_value: float
    cash: float
    positions: int
    daily_pnl: float
    total_return_pct: float


@dataclass(frozen=True)
class Order:
    """What the desk wants to do; `quantity` is positive whatever the action."""

    ticker: str
    action: str  # buy, sell, short or cover
    quantity: float
    price: float
    conviction: float

    @property
    def opens(self) -> bool:
        """Whether it makes a position larger."""
        return self.action in ("buy", "short")

    @property
    def side(self) -> Literal["buy", "sell"]:
        """Which side of the market it takes."""
        return "buy" if self.action in ("buy", "cover") else "sell"

    @property
    def signed(self) -> float:
        """What it adds to the position."""
        return self.quantity if self.side == "buy" else -self.quantity


class Book:
    """What is held; short positions are negative."""

    def __init__(self, cash: float = 100_000.0) -> None:
        self.cash = self.began_with = self.day_began_with = cash
        self.positions: dict[str, float] = {}
        self.fills = 0

    def held(self, ticker: str) -> float:
        """Quantity of a ticker."""
        return self.positions.get(ticker, 0.0)

    def value(self, prices: Mapping[str, float]) -> float:
        """Cash and holdings at these prices."""
        return self.cash + sum(q * prices[name] for name, q in self.positions.items())

    def gross(self, prices: Mapping[str, float]) -> float:
        """Size of all positions, long and short alike."""
        return sum(abs(q) * prices[name] for name, q in self.positions.items())

    def summary(self, prices: Mapping[str, float]) -> Summary:
        """What the book comes to at these prices."""
        value = self.value(prices)
        return {
            "total_value": value,
            "cash": self.cash,
            "positions": len(self.positions),
            "daily_pnl": self.daily_pnl(prices),
            "total_return_pct": (value / self.began_with - 1) * 100,
        }

    def daily_pnl(self, prices: Mapping[str, float]) -> float:
        """Profit or loss since the day began."""
        return self.value(prices) - self.day_began_with

    def begin_day(self, prices: Mapping[str, float]) -> None:
        """Profit and loss count from here."""
        self.day_began_with = self.value(prices)

    def order(self, ticker: str, action: str, conviction: float, price: float) -> Order:
        """An order of the usual size, or one that closes the position."""
        held = abs(self.held(ticker))
        opening = round(ORDER_SHARE * self.began_with / price, 4)
        closes = action in ("sell", "cover")
        return Order(ticker, action, held if closes else opening, price, conviction)

    def fill(self, order: Order) -> float:
        """Execute an order on paper; the price that was paid."""
        paid = order.price * (1 + SLIPPAGE if order.side == "buy" else 1 - SLIPPAGE)
        self.cash -= order.signed * paid
        left = self.held(order.ticker) + order.signed
        self.positions[order.ticker] = left
        if abs(left) < 1e-9:
            del self.positions[order.ticker]
        self.fills += 1
        return round(paid, 6)
