"""Trace and span ids do not repeat, whatever a strategy does with `random`."""

from __future__ import annotations

import os
import random

import pytest

from tradespan.export.ids import SystemIdGenerator

ids = SystemIdGenerator()


def test_a_seed_does_not_repeat_them() -> None:
    """`random.seed()`, common in trading code, makes no equal ids."""
    found = []
    for _ in range(2):
        random.seed(42)
        found += [ids.generate_trace_id(), ids.generate_span_id()]
    assert len(set(found)) == 4


def test_they_are_valid_and_distinct() -> None:
    """Within 64 and 128 bits, never 0, and marked as random."""
    spans = {ids.generate_span_id() for _ in range(1000)}
    traces = {ids.generate_trace_id() for _ in range(1000)}
    assert len(spans) == len(traces) == 1000
    assert all(0 < s < 1 << 64 for s in spans)
    assert all(0 < t < 1 << 128 for t in traces)
    assert any(t >> 64 for t in traces)
    assert ids.is_trace_id_random() is True


def test_zero_is_no_id(monkeypatch: pytest.MonkeyPatch) -> None:
    """Should randomness ever give 0, it is not used."""
    monkeypatch.setattr("tradespan.export.ids._random.getrandbits", lambda bits: 0)
    assert ids.generate_span_id() != 0
    assert ids.generate_trace_id() != 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_forked_workers_have_their_own() -> None:
    """Two children of one process, forked from the same state, make different ids."""
    random.seed(42)
    found = []
    for _ in range(2):
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            os.write(writing, f"{ids.generate_trace_id():032x}".encode())
            os._exit(0)
        os.close(writing)
        found.append(os.read(reading, 64))
        os.close(reading)
        os.waitpid(child, 0)
    assert len(set(found)) == 2
