"""An event-driven backtest with backtesting.py; prints what it earned, as JSON."""

from __future__ import annotations

import json
import sys
import time

import pandas as pd
from backtesting import Backtest, Strategy
from bars import bars

DAYS = 600
RUNS = 3


class Crossing(Strategy):
    """Buys below its mean, sells above; now and then asks for a stop that cannot be."""

    def init(self) -> None:
        self.refused = 0

    def next(self) -> None:
        close = self.data.Close
        self.plan = "hold"
        if len(close) % 50 == 0:
            self.plan = "stop"
            try:
                self.buy(size=1, sl=close[-1] * 2)
            except ValueError:
                self.refused += 1
        elif not self.position and close[-1] < 95:
            self.plan = "buy"
            self.buy(size=10)
        elif self.position and close[-1] > 105:
            self.plan = "sell"
            self.position.close()


def main() -> None:
    rows = bars(DAYS)
    frame = pd.DataFrame(
        [row[1:] for row in rows],
        columns=["Open", "High", "Low", "Close", "Volume"],
        index=pd.to_datetime([row[0] for row in rows]),
    )
    best = float("inf")
    for _ in range(RUNS):
        started = time.thread_time()
        result = Backtest(frame, Crossing, cash=10_000, finalize_trades=True).run()
        best = min(best, time.thread_time() - started)
    trades = result["_trades"]
    told = {
        "equity": result["Equity Final [$]"],
        "trades": len(trades),
        "refused": result["_strategy"].refused,
        "profits": [round(p, 9) for p in trades["PnL"]],
    }
    print(json.dumps(told))
    print(json.dumps({"seconds": best}), file=sys.stderr)


if __name__ == "__main__":
    main()
