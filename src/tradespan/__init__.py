"""OpenTelemetry for AI trading pipelines: follow every signal from the market event to the fill.

Start a service with `opentelemetry-instrument python service.py`, and mark its stages:

    with tradespan.execution(carrier=row, symbol="BTC-USD", side="buy") as e:
        e.filled(quantity=0.1, price=97_000.0)
"""

from typing import Any

from tradespan.handoffs.carrier import extract, inject
from tradespan.journey import Journey, current_journey
from tradespan.settings import ConfigError
from tradespan.stages.calls import Call, call, count, value
from tradespan.stages.stage import Stage, current_stage
from tradespan.stages.typed import (
    Execution,
    Orchestration,
    Risk,
    Signal,
    Validation,
    execution,
    orchestration,
    risk,
    signal,
    stage,
    validation,
)


def configure(**overrides: Any) -> None:
    """The same set-up as `opentelemetry-instrument`, from code; call it before other imports.

    Arguments:
        overrides: fields of `tradespan.settings.Settings`; the environment gives the rest.

    Raises:
        ConfigError: a setting cannot be used.
    """
    from tradespan import distro  # imports the SDK, which a stage does not need

    distro.configure(**overrides)


__all__ = [
    "Call",
    "ConfigError",
    "Execution",
    "Journey",
    "Orchestration",
    "Risk",
    "Signal",
    "Stage",
    "Validation",
    "call",
    "configure",
    "count",
    "current_journey",
    "current_stage",
    "execution",
    "extract",
    "inject",
    "orchestration",
    "risk",
    "signal",
    "stage",
    "validation",
    "value",
]
