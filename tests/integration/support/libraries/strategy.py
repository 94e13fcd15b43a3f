"""A strategy file for backtrader's own runner, which loads it by its path."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import backtrader


class Dips(backtrader.Strategy):
    """Buys dips with most of the cash, more than there is when it is greedy."""

    def start(self) -> None:
        self.bought = self.refused = self.dips = 0
        self.began = time.thread_time()

    def next(self) -> Any:
        price = self.data.close[0]
        if not self.position and price < 95:
            self.dips += 1
            return self.buy(size=500 if self.dips % 4 == 0 else 50)
        if self.position and price > 105:
            return self.close()
        return None

    def notify_order(self, order: Any) -> None:
        self.bought += order.status == order.Completed
        self.refused += order.status == order.Margin

    def stop(self) -> None:
        seconds = time.thread_time() - self.began
        value = self.broker.getvalue()
        print(json.dumps({"value": value, "orders": self.bought, "refused": self.refused}))
        print(json.dumps({"seconds": seconds}), file=sys.stderr)
