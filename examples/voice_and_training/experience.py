"""What training learns from: closed trades, and the streams that bring them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import redis

FULL_REWARD = 0.001  # return that counts as 1


@dataclass
class Experience:
    """A closed trade."""

    order_id: str
    features: list[float]
    roi: float
    reward: float


def experienced(told: dict[str, Any]) -> Experience:
    """A closed trade with its reward, from -1 to 1."""
    return Experience(**told, reward=max(-1.0, min(1.0, told["roi"] / FULL_REWARD)))


class Stream:
    """Reads a Redis stream from its beginning, entry by entry."""

    def __init__(self, store: redis.Redis, name: str) -> None:
        self._store, self._name, self._last = store, name, "0-0"

    def read(self) -> list[dict[str, str]]:
        """What is new."""
        answer: Any = self._store.xread({self._name: self._last}, count=100)
        entries = [entry for _, found in answer for entry in found]
        if entries:
            self._last = entries[-1][0]
        return [fields for _, fields in entries]
