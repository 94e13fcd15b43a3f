"""What holds after every test of a stage: it has left nothing behind."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from opentelemetry import context

import tradespan
from tradespan.stages import live


@pytest.fixture(autouse=True)
def _nothing_leaks(telemetry: object) -> Iterator[None]:
    """No stage is still going on, none is current, and the context is the one of before."""
    before = context.get_current()
    yield
    assert not live._live, [stage.name for stage in live._live.values()]
    assert tradespan.current_stage() is None
    assert context.get_current() == before
