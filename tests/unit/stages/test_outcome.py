"""How an exception ends a stage."""

from __future__ import annotations

import asyncio
import concurrent.futures

import pytest

from tradespan.semconv.attributes import ENUMS, TRADING_OUTCOME
from tradespan.stages.outcome import FAILED, outcome_of


class OwnTimeout(TimeoutError):
    """A timeout of the service's own."""


class Odd(BaseException):
    """No Exception, and none of the known others."""


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (None, None),
        (ValueError(), "error"),
        (OSError(), "error"),
        (TimeoutError(), "timeout"),
        (OwnTimeout(), "timeout"),
        (concurrent.futures.TimeoutError(), "timeout"),
        (asyncio.CancelledError(), "cancelled"),
        (GeneratorExit(), "cancelled"),
        (KeyboardInterrupt(), "cancelled"),
        (SystemExit(), "cancelled"),
        (Odd(), "error"),
    ],
    ids=lambda v: type(v).__name__ if isinstance(v, BaseException) else str(v),
)
def test_outcome_of(error: BaseException | None, outcome: str | None) -> None:
    """Timeouts, cancellations and all others, each a declared outcome."""
    assert outcome_of(error) == outcome
    assert outcome is None or outcome in ENUMS[TRADING_OUTCOME]


def test_failed_outcomes_are_declared() -> None:
    """What makes a span an error is among the declared outcomes."""
    assert set(FAILED) < set(ENUMS[TRADING_OUTCOME])
