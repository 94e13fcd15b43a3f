"""One collection at a time, in a thread of its own, for as many scrapes as wait for it.

A callback of an observable instrument that blocks, blocks the SDK's collection. It shall not block
whoever asks, nor pile up threads: one hangs, the others are told so.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import Any

from prometheus_client.metrics_core import Metric


class BlockedError(Exception):
    """A collection does not end; says since when."""


class _Run:
    def __init__(self) -> None:
        self.done = threading.Event()
        self.began = time.monotonic()
        self.families: list[Metric] = []
        self.error: Exception | None = None


class Scrapes:
    """Serialises collections.

    Arguments:
        collect: what collects.
        patience: seconds from its beginning on that scrapes wait for it, later ones not at all;
            Prometheus itself gives up after 10.
    """

    def __init__(self, collect: Callable[[], list[Metric]], patience: float = 5.0) -> None:
        self._collect, self._patience = collect, patience
        self._begin_anew()
        if hasattr(os, "register_at_fork"):  # not on Windows
            os.register_at_fork(after_in_child=self._begin_anew)

    def _begin_anew(self) -> None:
        """Forget the collection under way: it was the parent's, before the fork."""
        self._lock = threading.Lock()
        self._running: _Run | None = None

    def families(self) -> list[Metric]:
        """All families at this moment.

        Raises:
            BlockedError: the collection has not ended in time.
            RuntimeError: no thread can be started now; the next scrape tries again.
            Exception: as the collection raised it.
        """
        with self._lock:
            run = self._running
            if run is None:
                run = _Run()
                threading.Thread(
                    target=self._do, args=(run,), name="tradespan-scrape", daemon=True
                ).start()
                self._running = run  # now only: a thread that does not start holds nobody up
        if not run.done.wait(max(0.0, run.began + self._patience - time.monotonic())):
            raise BlockedError(_sentence(run))
        if run.error is not None:
            raise run.error
        return run.families

    def facts(self) -> dict[str, Any]:
        """For /health: whether a collection blocks."""
        run = self._running
        blocked = run is not None and time.monotonic() - run.began > self._patience
        return {"blocked": blocked, "trouble": [_sentence(run)] if run and blocked else []}

    def _do(self, run: _Run) -> None:
        try:
            run.families = self._collect()
        except Exception as error:
            run.error = error
        with self._lock:
            if self._running is run:
                self._running = None
        run.done.set()


def _sentence(run: _Run) -> str:
    return (
        f"a collection of metrics has been running for {time.monotonic() - run.began:.0f} s: a "
        "callback of an observable instrument, or a collector of the application's, blocks"
    )
