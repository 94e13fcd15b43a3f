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

from opentelemetry import metrics

from tradespan.export import outage
from tradespan.guard import guard

log = logging.getLogger("tradespan")

_FORGET = guard("exit.forget")


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
        if hasattr(os, "register_at_fork"):  # not on Windows
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
        if first and not all(done.is_set() for done in self._done):
            _quietly(lambda: outage.unsent(self._timeout))

    def _start(self) -> None:
        self._lock = threading.RLock()  # a signal may come while this very thread holds it
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
        forget_what_the_parent_counted()
        self._start()
        if "multiprocessing.util" in sys.modules:  # its forked children skip atexit ...
            from multiprocessing.util import register_after_fork

            register_after_fork(self, LastFlush._at_the_childs_end)

    def _at_the_childs_end(self) -> None:
        from multiprocessing.util import Finalize  # ... and forget what was finalized before now

        Finalize(None, self.run, exitpriority=-100)


def forget_what_the_parent_counted() -> None:
    """Let a forked child count from nothing: it exports under an id of its own.

    The SDK keeps the parent's figures in the child, so that a sum over processes has them twice,
    and a lock that another thread of the parent held at the fork stays locked for ever.
    Never raises.
    """
    with _FORGET:
        consumer = getattr(metrics.get_meter_provider(), "_measurement_consumer", None)
        if consumer is not None:
            consumer._lock = threading.Lock()
            for reader in list(consumer._reader_storages):
                consumer.add_metric_reader(reader)


def _quietly(step: Callable[[], object]) -> None:
    try:
        step()
    except Exception as error:
        log.debug("the last flush failed: %s", error)
