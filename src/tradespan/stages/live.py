"""The stages that are going on in this process, and the gate that the exit closes.

Before the last flush, stages that are just ending are let through, later ones are held back until
the process is gone (what ended is exported, what is not exported has not ended), and those still
open are ended as `cancelled`.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from tradespan.journey import Journey

_live: dict[int, Open] = {}
_ending: dict[int, bool] = {}
_closed = threading.Event()


class Open(Protocol):
    """What can be ended from outside.

    Attributes:
        name: of the stage.
        journey: that it belongs to.
    """

    name: str
    journey: Journey | None

    def end(self, error: BaseException | None = None, by: str | None = None) -> None:
        """End it, naming who cancelled it."""


def add(stage: Open) -> None:
    """Note that a stage goes on."""
    _live[id(stage)] = stage


def going_on() -> list[Open]:
    """The stages that go on now."""
    return list(_live.values())


@contextmanager
def ending(stage: Open, from_outside: bool) -> Iterator[bool]:
    """Let a stage end; yields False where another thread has ended it.

    Arguments:
        stage: the one that ends.
        from_outside: the exit ends it; the gate lets it through.
    """
    me = threading.get_ident()
    if not from_outside:
        _ending[me] = True
        if _closed.is_set() and threading.current_thread() is not threading.main_thread():
            _ending.pop(me, None)
            threading.Event().wait()  # the process is being ended: this thread's work is over
    try:
        yield _live.pop(id(stage), None) is not None
    finally:
        _ending.pop(me, None)


def is_ending_here() -> bool:
    """Whether this thread is just ending a stage, and so must not be held up."""
    return threading.get_ident() in _ending


def is_closing() -> bool:
    """Whether the gate is closed: a thread whose stage is over is held there too."""
    return _closed.is_set()


def end_all(by: str = "shutdown", patience: float = 0.2) -> None:
    """Close the gate, wait for stages that are just ending, end the open ones as cancelled.

    Arguments:
        by: who ends them.
        patience: most seconds to wait for the ending ones.
    """
    _closed.set()
    deadline = time.monotonic() + patience
    while _ending and time.monotonic() < deadline:
        time.sleep(0.0005)
    for stage in going_on():
        stage.end(by=by)


def _reset() -> None:
    _live.clear()
    _ending.clear()
    _closed.clear()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_reset)
