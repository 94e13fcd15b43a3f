"""What the agents look at: figures out of the last closing prices, the newest last."""

from collections.abc import Callable, Sequence

import numpy as np

WINDOW = 20  # minutes


def momentum(closes: Sequence[float]) -> float:
    """Return over the window."""
    return closes[-1] / closes[-WINDOW] - 1


def zscore(closes: Sequence[float]) -> float:
    """How many standard deviations the price is from its mean."""
    window = np.asarray(closes[-WINDOW:])
    return float((window[-1] - window.mean()) / (window.std() or 1.0))


def volatility(closes: Sequence[float]) -> float:
    """Standard deviation of a minute's return."""
    return float(np.std(np.diff(np.log(closes[-WINDOW:]))))


def rsi(closes: Sequence[float]) -> float:
    """Relative strength index, 0 to 100."""
    moves = np.diff(closes[-WINDOW:])
    gained, lost = moves[moves > 0].sum(), -moves[moves < 0].sum()
    return float(100 * gained / (gained + lost)) if gained + lost else 50.0


INDICATORS: dict[str, Callable[[Sequence[float]], float]] = {
    "momentum": momentum,
    "zscore": zscore,
    "volatility": volatility,
    "rsi": rsi,
}
