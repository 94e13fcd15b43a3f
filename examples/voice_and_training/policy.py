"""The policy: will a trade in this direction win? A logistic regression that goes on learning."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

FEATURES = (
    "momentum",
    "volatility",
    "spread",
)  # in basis points, momentum in the trade's direction
SCALES = np.array([20.0, 10.0, 2.0])
STEADY = 1e-4  # how much it forgets at each step

Numbers = NDArray[np.float64]


class Policy:
    """Chance of winning by features.

    Arguments:
        weights: one for each feature and one for itself; all 0 knows nothing.
    """

    def __init__(self, weights: Sequence[float] = ()) -> None:
        self.weights: Numbers = np.array(weights or [0.0] * (len(FEATURES) + 1))

    def chance(self, features: Sequence[float]) -> float:
        """Of winning, 0 to 1."""
        return float(self._chances(scaled([features]))[0])

    def learn(self, features: Numbers, rewards: Numbers, rate: float = 0.1) -> None:
        """One step of gradient descent: a reward above 0 was a win, and its size is its weight."""
        rows = scaled(features)
        errors = (rewards > 0) - self._chances(rows)
        step = (np.abs(rewards) * errors) @ rows / len(rows)
        self.weights += rate * step - STEADY * self.weights

    def _chances(self, rows: Numbers) -> Numbers:
        found: Numbers = 1.0 / (1.0 + np.exp(-np.clip(rows @ self.weights, -30, 30)))
        return found


def scaled(features: Numbers | Sequence[Sequence[float]]) -> Numbers:
    """Features as the weights expect them, with a column of ones."""
    rows = np.atleast_2d(np.asarray(features, dtype=float)) / SCALES
    return np.hstack([rows, np.ones((len(rows), 1))])


def stability(reference: Numbers, recent: Numbers, bins: int = 5) -> float:
    """The population stability index: how far recent values of a feature lie from the reference.

    The bins hold equal shares of the reference. Below 0.1 little has changed, above 0.25 much.
    """
    edges = np.quantile(reference, np.linspace(0, 1, bins + 1)[1:-1])
    expected, actual = (
        (np.bincount(np.searchsorted(edges, values), minlength=bins) + 0.5)
        / (len(values) + 0.5 * bins)
        for values in (reference, recent)
    )
    return float(np.sum((actual - expected) * np.log(actual / expected)))
