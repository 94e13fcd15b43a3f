"""What the recorders remember in a process is forgotten between tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tradespan.recorders import exchange, system, training, voice


@pytest.fixture(autouse=True)
def _forget(telemetry: object) -> Iterator[None]:
    """No total, uptime or declared feature of another test."""
    for room in (exchange, voice):
        room._TOTALS.forget()
    system._began.clear()
    training.reset()
    yield
    training.reset()
