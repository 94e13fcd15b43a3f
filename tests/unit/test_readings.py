"""The last value of each gauge in one place, and what is asked when it is exported."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tradespan import instruments, readings
from tradespan.semconv import metrics

DEPTH, LABELS = metrics.TRADING_QUEUE_DEPTH, {"stream": "signals", "group": "g"}


@pytest.fixture
def hasty() -> Iterator[None]:
    """Threads that take turns at every step."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.parametrize("metric", [metrics.CURRENT_POSITIONS_COUNT, DEPTH], ids=lambda m: m.name)
def test_what_is_added_goes_onto_what_was_set(telemetry: Any, metric: Any) -> None:
    """By whomever, and onto 0 at first; for a gauge that is asked later as well."""
    instruments.record(metric, 2, LABELS, onto=True)
    assert telemetry.last(metric.name) == 2
    instruments.record(metric, 5, LABELS)
    instruments.record(metric, -1, LABELS, onto=True)
    assert telemetry.last(metric.name) == 4


@pytest.mark.usefixtures("hasty")
def test_threads_lose_nothing(telemetry: Any) -> None:
    """Eight that add to one gauge at once; what shows last is what is kept."""

    def work() -> None:
        for _ in range(500):
            instruments.record(metrics.CURRENT_POSITIONS_COUNT, 1, onto=True)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert telemetry.last("current_positions_count") == 4000


def test_a_series_ends_when_it_is_dropped(telemetry: Any) -> None:
    """The others go on."""
    other = {**LABELS, "group": "h"}
    for labels in (LABELS, other):
        instruments.record(DEPTH, 1, labels)
    assert len(telemetry.metric(DEPTH.name)) == 2
    readings.drop(DEPTH, LABELS)
    readings.drop(DEPTH, LABELS)
    telemetry.points.clear()
    assert [p.labels for p in telemetry.metric(DEPTH.name)] == [other]


def test_who_is_asked_comes_before_what_was_kept(
    telemetry: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Series that it does not tell of keep theirs."""
    monkeypatch.setitem(readings._observed, DEPTH.name, lambda: {("signals", "g"): 7})
    for group in ("g", "h"):
        instruments.record(DEPTH, 1, {**LABELS, "group": group})
    assert {p.labels["group"]: p.value for p in telemetry.metric(DEPTH.name)} == {"g": 7, "h": 1}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
def test_a_forked_child_has_no_value_and_no_lock_of_its_parent(telemetry: Any) -> None:
    """Though another thread held the lock at that moment, and for ever."""
    instruments.record(DEPTH, 41, LABELS)
    held, done = threading.Event(), threading.Event()

    def hold(lock: Any) -> None:
        with lock:
            held.set()
            done.wait()

    thread = threading.Thread(target=hold, args=(readings._lock,))
    thread.start()
    held.wait()
    child = os.fork()
    if child == 0:
        try:
            readings.keep(DEPTH, LABELS, 1.0, None, onto=True)
            os._exit(int(readings._last[DEPTH.name] != {("signals", "g"): 1.0}))
        finally:
            os._exit(2)
    done.set()
    thread.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert telemetry.last(DEPTH.name) == 41
