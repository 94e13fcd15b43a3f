"""The catalogue as the tests read it, and all of it recorded once."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider

from tradespan import instruments, readings
from tradespan.semconv import metrics
from tradespan.semconv.attributes import ENUMS

CATALOGUE: list[dict[str, Any]] = json.loads(
    files("tradespan.semconv").joinpath("catalogue.json").read_text()
)["metrics"]
OBJECTIONS = ("current_positions_count", "training_policy_latency_ms")
"""The two names of the catalogue that Prometheus' linter may object to."""


def record_everything(provider: MeterProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every metric of the registry once, in this provider."""
    monkeypatch.setattr(instruments, "_meter", lambda: provider.get_meter("tradespan"))
    monkeypatch.setattr(readings, "_observed", {})
    monkeypatch.setattr(instruments, "_instruments", {})
    drift = instruments.made(metrics.TRAINING_POLICY_DRIFT_SCORE, "f")
    for metric in (*metrics.METRICS, drift):
        labels = {k: (metric.values.get(k) or ENUMS.get(k) or ("a",))[0] for k in metric.attributes}
        if metric.observed:
            one = {tuple(labels.values()): 1.0}
            readings.observe(metric, lambda one=one: one)
            instruments.open_room(metric.room)
        instruments.record(metric, 1.0, labels)
