"""The model behind the signals: a logistic regression on five indicators of one-minute bars."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

HERE = Path(__file__).resolve().parent
BARS_FILE = HERE / "btcusd-1m.csv"
MODEL_FILE = HERE / "model.json"
WINDOW = 20
INDICATORS = ("return_1", "return_5", "rsi_14", "below_high", "volatility")


@dataclass(frozen=True)
class Bars:
    """One-minute bars: `closed_at` in seconds since the epoch, prices in USD."""

    closed_at: Floats
    high: Floats
    close: Floats

    @classmethod
    def load(cls, path: Path = BARS_FILE) -> Self:
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        column = {name: np.array([float(row[name]) for row in rows]) for name in rows[0]}
        return cls(column["timestamp"] + 60.0, column["high"], column["close"])

    def __len__(self) -> int:
        return len(self.close)


def indicators(bars: Bars, at: int) -> Floats:
    """What the model sees at the close of bar `at` (from WINDOW on); returns in basis points."""
    close = bars.close[at - WINDOW : at + 1]
    returns = np.diff(np.log(close)) * 1e4
    gains, losses = returns.clip(min=0)[-14:].sum(), -returns.clip(max=0)[-14:].sum()
    rsi = 50.0 if gains + losses == 0 else 100.0 * gains / (gains + losses)
    below_high = np.log(close[-1] / bars.high[at - WINDOW : at + 1].max()) * 1e4
    return np.array([returns[-1], returns[-5:].sum(), rsi, below_high, returns.std()])


@dataclass(frozen=True)
class Model:
    """Weights for indicators that are centred on `mean` and divided by `scale`."""

    mean: Floats
    scale: Floats
    weights: Floats
    bias: float

    @classmethod
    def load(cls, path: Path = MODEL_FILE) -> Self:
        found = json.loads(path.read_text())
        mean, scale, weights = (np.array(found[name]) for name in ("mean", "scale", "weights"))
        return cls(mean, scale, weights, found["bias"])

    def predict(self, seen: Floats) -> float:
        """Probability, 0 to 1, that the next five minutes do better than the median ones."""
        score = float(((seen - self.mean) / self.scale) @ self.weights) + self.bias
        return 1.0 / (1.0 + float(np.exp(-score)))
