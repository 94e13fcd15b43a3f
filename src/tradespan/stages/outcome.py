"""How an exception ends a stage."""

from __future__ import annotations

import asyncio
from typing import Final

from tradespan.semconv.model import Outcome

FAILED: Final = ("error", "timeout")
"""Outcomes that make the span an error."""


def outcome_of(error: BaseException | None) -> Outcome | None:
    """The outcome that an exception means, or None where there is none."""
    if error is None:
        return None
    if isinstance(error, TimeoutError):
        return "timeout"
    if isinstance(error, Exception):
        return "error"
    if isinstance(error, asyncio.CancelledError | GeneratorExit | KeyboardInterrupt | SystemExit):
        return "cancelled"
    return "error"
