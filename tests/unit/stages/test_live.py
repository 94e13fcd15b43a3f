"""The gate at the exit: what is ending is let through, what is open ends as cancelled."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry import context

import tradespan
from tradespan.stages import live


@pytest.fixture(autouse=True)
def _open_again(telemetry: Any) -> Iterator[None]:
    """Opens the gate for the next test."""
    yield
    live._reset()
    context.attach(context.Context())


def test_open_stages_end_as_cancelled(telemetry: Any) -> None:
    """All that is open is ended, the inner ones too, and says by whom."""
    outer = tradespan.orchestration().__enter__()
    inner = tradespan.risk().__enter__()
    live.end_all(by="shutdown", patience=0)
    assert {s.name for s in telemetry.spans} == {outer.name, inner.name}
    for span in telemetry.spans:
        assert span.attributes["trading.outcome"] == "cancelled"
        assert span.attributes["trading.cancelled.by"] == "shutdown"
    assert not live.going_on()
    assert not any(p.value for p in telemetry.metric("trading.stage.active"))
    live.end_all()
    assert len(telemetry.spans) == 2


def test_what_ended_before_is_left_alone(telemetry: Any) -> None:
    """A stage that has ended is not ended again."""
    with tradespan.risk():
        pass
    live.end_all(patience=0)
    assert telemetry.span("risk").attributes["trading.outcome"] == "ok"


def test_later_ends_of_other_threads_wait_at_the_gate(telemetry: Any) -> None:
    """After the gate has closed no other thread's stage ends as if the process went on."""
    begun, go, over = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        with tradespan.execution() as e:
            begun.set()
            go.wait()
            e.filled(1.0, 2.0)
        over.set()

    threading.Thread(target=work, daemon=True).start()
    begun.wait()
    live.end_all(patience=0)
    go.set()
    assert not over.wait(0.05)
    assert telemetry.span("execution").attributes["trading.outcome"] == "cancelled"


def test_a_stage_that_is_just_ending_is_let_through(telemetry: Any) -> None:
    """The exit waits, within its patience, for ends that have begun."""
    inside, go = threading.Event(), threading.Event()

    class Slow:
        _ended = False

        def end(self, error: Any = None, by: str | None = None) -> None:
            with live.ending(self, by is not None) as mine:
                assert mine
                inside.set()
                go.wait()

    slow = Slow()
    live.add(slow)
    thread = threading.Thread(target=slow.end)
    thread.start()
    inside.wait()
    threading.Timer(0.05, go.set).start()
    began = time.monotonic()
    live.end_all(patience=30)
    assert go.is_set()
    assert time.monotonic() - began < 25
    thread.join()


def test_patience_ends(telemetry: Any) -> None:
    """An end that never comes does not hold the exit up for ever."""
    go = threading.Event()
    stage = tradespan.risk()

    def stuck() -> None:
        with live.ending(stage, from_outside=False):
            go.wait()

    thread = threading.Thread(target=stuck)
    thread.start()
    while not live._ending:
        time.sleep(0.001)
    live.end_all(patience=0.01)
    go.set()
    thread.join()


def test_is_ending_here(telemetry: Any) -> None:
    """A signal handler can tell whether this thread is just ending a stage."""
    stage = tradespan.risk()
    assert not live.is_ending_here()
    with live.ending(stage, from_outside=False):
        assert live.is_ending_here()
        assert not asyncio.run(asyncio.to_thread(live.is_ending_here))
    assert not live.is_ending_here()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_a_forked_child_begins_with_nothing(telemetry: Any) -> None:
    """The parent's open stages are the parent's to end."""
    with tradespan.risk():
        child = os.fork()
        if not child:
            os._exit(len(live._live))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
