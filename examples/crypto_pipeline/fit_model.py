"""Fit the model on the bars and write model.json; the same bars give the same file."""

from __future__ import annotations

import json

import numpy as np
from model import INDICATORS, MODEL_FILE, WINDOW, Bars, Floats, indicators

AHEAD = 5  # bars
RIDGE = 1.0
STEPS = 25


def fit(seen: Floats, rises: Floats) -> Floats:
    """Weights and, last, the bias: Newton's method on the logistic loss with a ridge."""
    design = np.column_stack([seen, np.ones(len(seen))])
    penalty = np.diag([RIDGE] * seen.shape[1] + [0.0])
    weights = np.zeros(design.shape[1])
    for _ in range(STEPS):
        p = 1.0 / (1.0 + np.exp(-design @ weights))
        gradient = design.T @ (p - rises) + penalty @ weights
        hessian = design.T @ (design * (p * (1 - p))[:, None]) + penalty
        weights -= np.linalg.solve(hessian, gradient)
    return weights


def main() -> None:
    bars = Bars.load()
    at = range(WINDOW, len(bars) - AHEAD)
    seen = np.array([indicators(bars, i) for i in at])
    ahead = np.array([np.log(bars.close[i + AHEAD] / bars.close[i]) for i in at])
    rises = (ahead > np.median(ahead)).astype(np.float64)  # against the drift of the morning
    mean, scale = seen.mean(axis=0), seen.std(axis=0)
    *weights, bias = fit((seen - mean) / scale, rises).round(6).tolist()
    found = {
        "indicators": INDICATORS,
        "mean": mean.round(6).tolist(),
        "scale": scale.round(6).tolist(),
        "weights": weights,
        "bias": bias,
    }
    MODEL_FILE.write_text(json.dumps(found, indent=2) + "\n")
    print(f"fitted on {len(seen)} bars, wrote {MODEL_FILE.name}")


if __name__ == "__main__":
    main()
