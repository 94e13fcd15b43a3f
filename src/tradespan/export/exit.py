"""The last flush: bounded, at exit and on SIGTERM.

Upstream flushes in atexit only, which a SIGTERM never reaches, and waits up to 30 s for a dead
collector. Here threads that stand ready flush all three signals at once, up to one deadline.
"""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence

log = logging.getLogger("tradespan")


class LastFlush:
    """Flushes everything once, within a deadline.

    Arguments:
        flushes: each runs in its own thread, made early: an exiting interpreter starts none.
        before: run first, in the caller's thread.
        timeout: most seconds that all of it may take.
    """

    def __init__(
        self,
        flushes: Sequence[Callable[[], object]],
        before: Sequence[Callable[[], object]],
        timeout: float,
    ) -> None:
        self._flushes, self._before, self._timeout = flushes, before, timeout
        self._begun = False
        self._done: list[threading.Event] = []
        self._start()
        os.register_at_fork(after_in_child=self._after_fork)
        atexit.register(self.run)

    def run(self) -> None:
        """Flush. A second call, and one from another thread, waits for the first."""
        deadline = time.monotonic() + self._timeout
        with self._lock:
            first, self._begun = not self._begun, True
        if first:
            for step in self._before:
                _quietly(step)
            self._go.set()
        for done in self._done:
            done.wait(max(0.0, deadline - time.monotonic()))

    def _start(self) -> None:
        self._lock = threading.Lock()
        self._go = threading.Event()
        self._begun = False
        self._done = [threading.Event() for _ in self._flushes]
        for flush, done in zip(self._flushes, self._done, strict=True):
            threading.Thread(
                target=self._wait, args=(flush, self._go, done), name="tradespan-exit", daemon=True
            ).start()

    @staticmethod
    def _wait(flush: Callable[[], object], go: threading.Event, done: threading.Event) -> None:
        go.wait()
        _quietly(flush)
        done.set()

    def _after_fork(self) -> None:
        self._start()
        if "multiprocessing.util" in sys.modules:  # forked workers skip atexit
            from multiprocessing.util import Finalize

            Finalize(None, self.run, exitpriority=0)


def _quietly(step: Callable[[], object]) -> None:
    try:
        step()
    except Exception as error:
        log.debug("the last flush failed: %s", error)
