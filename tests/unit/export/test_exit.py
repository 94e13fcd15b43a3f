"""The last flush is bounded, runs once, and takes all signals at once."""

from __future__ import annotations

import atexit
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tradespan.export.exit import LastFlush

Make = Callable[..., LastFlush]


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Makes one that does not stay behind in the test's process."""
    monkeypatch.setattr("os.register_at_fork", lambda **_: None)
    made: list[LastFlush] = []

    def one(flushes: Any = (), before: Any = (), timeout: float = 10.0) -> LastFlush:
        made.append(LastFlush(flushes, before, timeout))
        return made[-1]

    yield one
    for flush in made:
        atexit.unregister(flush.run)


def fail() -> None:
    """A flush that fails."""
    raise ConnectionError("no collector")


def test_all_flush_after_what_comes_before(make: Make) -> None:
    """First the steps before, in order, then every flush."""
    done: list[str] = []
    make([lambda: done.append("c")], [lambda: done.append("a"), lambda: done.append("b")]).run()
    assert done == ["a", "b", "c"]


def test_it_runs_once(make: Make) -> None:
    """However often and from however many threads it is asked for."""
    done: list[int] = []
    last = make([lambda: done.append(2)], [lambda: done.append(1)])
    threads = [threading.Thread(target=last.run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    last.run()
    assert done == [1, 2]


def test_flushes_run_at_once(make: Make) -> None:
    """One that hangs does not keep the others from flushing, nor the exit beyond its bound."""
    done, hang = threading.Event(), threading.Event()
    began = time.monotonic()
    make([hang.wait, done.set], timeout=0.2).run()
    assert done.is_set()
    assert time.monotonic() - began < 10
    hang.set()


@pytest.mark.parametrize(("flushes", "before"), [([fail], []), ([], [fail]), ([fail], [fail])])
def test_failures_are_kept(make: Make, flushes: Any, before: Any) -> None:
    """A failing step raises nothing into the exit, and the others run."""
    done: list[int] = []
    make([*flushes, lambda: done.append(1)], before).run()
    assert done == [1]


def test_its_threads_stand_ready_and_hold_nothing_up(make: Make) -> None:
    """An exiting interpreter starts no threads: they are there before, as daemons."""
    last = make([lambda: None, lambda: None])
    ready = [t for t in threading.enumerate() if t.name == "tradespan-exit" and t.is_alive()]
    assert len(ready) >= 2
    assert all(t.daemon for t in ready)
    last.run()
