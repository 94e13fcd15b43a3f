"""What the desk may say to its assistant, and what it means."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

ORDER = re.compile(r"hey desk (buy|sell) (.+) bitcoin(?: at (.+))?")
AMOUNTS = {
    "a hundredth of a": 0.01,
    "a quarter of a": 0.25,
    "a third of a": 1 / 3,
    "half a": 0.5,
    "one": 1.0,
    "two": 2.0,
    "forty": 40.0,
}
PRICES = {None: None, "forty thousand": 40_000.0}
VERDICTS = {"hey desk well done": 1, "hey desk that was a mistake": -1}
QUESTION = "hey desk how are we doing"


class Request(NamedTuple):
    """What was understood: an order, a verdict on the last one, or else a question."""

    order: dict[str, Any] | None = None
    verdict: int = 0


def understood(words: str) -> Request | None:
    """The request in these words, None where there is none."""
    if words in VERDICTS or words == QUESTION:
        return Request(verdict=VERDICTS.get(words, 0))
    found = ORDER.fullmatch(words)
    if found is None or found[2] not in AMOUNTS or found[3] not in PRICES:
        return None
    terms = {"side": found[1], "quantity": AMOUNTS[found[2]], "limit": PRICES[found[3]]}
    return Request(order=terms)
