"""What a stage costs: calls of functions that do nothing, mapped as those of a library are."""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable

CALLS = 2000


def hold(plan: str = "hold") -> None:
    """A signal that is skipped."""


def trade(size: int = 10) -> None:
    """A stage that is recorded."""


def cost(function: Callable[[], None]) -> float:
    """Seconds of one call, the median of three series."""
    series = []
    for _ in range(3):
        started = time.thread_time()
        for _ in range(CALLS):
            function()
        series.append((time.thread_time() - started) / CALLS)
    return statistics.median(series)


def main() -> None:
    seconds = [cost(hold), cost(trade)]
    print(json.dumps({"calls": CALLS * 3}))
    print(json.dumps({"seconds": seconds}), file=sys.stderr)


if __name__ == "__main__":
    main()
