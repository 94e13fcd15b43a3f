"""The constitution: rules that no agent may break, and the kill switch above all of them."""

from collections.abc import Mapping

from book import Book, Order

MIN_CONVICTION = 0.25
MAX_POSITION = 0.20  # of the value of the book
MAX_GROSS = 0.60
MAX_DAILY_LOSS = 0.02
MAX_DRAWDOWN_PCT = 3.0  # at which trading is halted
COOL_DOWN = 40  # minutes until it goes on; stands for the person who would look into it first
RULES = ("min_conviction", "max_position_size", "max_gross_exposure", "max_daily_loss")


def judge(order: Order, book: Book, prices: Mapping[str, float]) -> dict[str, bool]:
    """Whether each rule is kept, by its name. What makes a position smaller is always allowed."""
    value = book.value(prices)
    size = order.quantity * order.price
    after = abs(book.held(order.ticker) + order.signed) * order.price
    return {
        "min_conviction": order.conviction >= MIN_CONVICTION,
        "max_position_size": not order.opens or after <= MAX_POSITION * value,
        "max_gross_exposure": not order.opens or book.gross(prices) + size <= MAX_GROSS * value,
        "max_daily_loss": not order.opens or book.daily_pnl(prices) > -MAX_DAILY_LOSS * value,
    }


class KillSwitch:
    """Halts trading, by hand or by drawdown, until it is released."""

    def __init__(self) -> None:
        self.active = False
        self.reason = ""
        self.by_hand = False
        self.changed = 0  # minute of the market

    def halt(self, reason: str, minute: int, *, by_hand: bool = False) -> None:
        """Halt trading."""
        self.active, self.reason, self.by_hand, self.changed = True, reason, by_hand, minute

    def has_cooled_down(self, minute: int) -> bool:
        """Whether a halt that nobody asked for may be over."""
        return self.active and not self.by_hand and minute - self.changed >= COOL_DOWN

    def release(self, minute: int) -> None:
        """Trade again."""
        self.active, self.reason, self.by_hand, self.changed = False, "", False, minute
