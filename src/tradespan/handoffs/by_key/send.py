"""Sending by key: the caller leaves the journey in a queue, and one thread writes it."""

from __future__ import annotations

import functools
import os
import threading
import time
from collections import deque
from weakref import WeakSet

from tradespan import journey as journeys
from tradespan.guard import failed, guard
from tradespan.handoffs import carrier as carriers
from tradespan.handoffs.by_key.key import Item, text_of
from tradespan.handoffs.by_key.stores import Store
from tradespan.handoffs.quiet import Outage

_SEND = guard("handoff.key.send")
_BATCH = 256
_IDLE_S = 3600.0
_SHORTEST_S = 0.1  # between attempts
_LOSS = "journeys that are handed on by key wait here, up to a limit"


class Sender:
    """Hands the current journey on by a key, without making the caller wait.

    Arguments:
        store: of `open_store`.
        limit: most journeys that wait to be written. While the store is down the oldest are
            dropped first, and counted in `tradespan.telemetry.failures` at `handoff.key.full`:
            their receivers have given up by then.
    """

    def __init__(self, store: Store, limit: int = 4096) -> None:
        self._store, self._limit = store, limit
        self._queue: deque[Item] = deque(maxlen=limit)
        self._batch: list[Item] = []
        self._wake = threading.Event()
        self._starting, self._writing = threading.Lock(), threading.Lock()
        self._thread: threading.Thread | None = None
        self._outage = Outage(f"the store {store.name}", _LOSS)
        _stand_up_after_fork()
        _senders.add(self)

    def send(self, key: object) -> None:
        """Hand the current journey on, where there is one; returns at once and never raises.

        Arguments:
            key: any scalar; the receiver asks for the same.
        """
        with _SEND:
            if journeys.current_journey() is None:
                return
            item = (text_of(key), carriers.inject(), time.time() + self._store.ttl)
            if len(self._queue) >= self._limit:
                failed("handoff.key.full", OverflowError("the oldest journey is dropped"))
            self._queue.append(item)
            if self._thread is None:
                self._start()
            if not self._wake.is_set():
                self._wake.set()

    def flush(self, timeout: float = 2.0) -> bool:
        """Write what waits, in this thread; True when nothing is left. Never raises.

        Arguments:
            timeout: most seconds; one attempt at the store may take a second more.
        """
        deadline = time.monotonic() + timeout
        if not self._writing.acquire(timeout=max(0.0, timeout)):
            return False
        try:
            while self._batch or self._queue:
                if not self._write() or time.monotonic() > deadline:
                    break
            return not (self._batch or self._queue)
        finally:
            self._writing.release()

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="tradespan-key", daemon=True)
                thread.start()
                self._thread = thread

    def _run(self) -> None:
        wake = self._wake
        while True:
            wake.wait(_IDLE_S)
            wake.clear()
            while self._batch or self._queue:
                with self._writing:
                    written = self._write()
                if not written:
                    time.sleep(max(self._outage.rest(), _SHORTEST_S))

    def _write(self) -> bool:
        """Write one batch; it stays until it is written or has expired."""
        while self._queue and len(self._batch) < _BATCH:
            self._batch.append(self._queue.popleft())
        now = time.time()
        self._batch = [item for item in self._batch if item[2] > now]
        try:
            self._store.put(self._batch)
        except Exception as error:
            self._outage.failed(error)
            return False
        self._outage.over()
        self._batch = []
        return True

    def _after_fork(self) -> None:
        """Begin empty: what waited is the parent's to write."""
        self._queue = deque(maxlen=self._limit)
        self._batch = []
        self._wake = threading.Event()
        self._starting, self._writing = threading.Lock(), threading.Lock()
        self._thread = None
        self._outage.after_fork()


_senders: WeakSet[Sender] = WeakSet()


def flush(timeout: float = 2.0) -> bool:
    """Write what waits in every sender of this process; True when nothing is left. Never raises.

    Arguments:
        timeout: most seconds for all of it.
    """
    deadline = time.monotonic() + timeout
    written = [s.flush(max(0.0, deadline - time.monotonic())) for s in list(_senders)]
    return all(written)


@functools.cache
def _stand_up_after_fork() -> None:
    os.register_at_fork(after_in_child=_all_after_fork)


def _all_after_fork() -> None:
    for sender in list(_senders):
        sender._after_fork()
