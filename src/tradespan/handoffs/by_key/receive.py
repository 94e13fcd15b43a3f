"""Receiving by key: a short, bounded wait, because a row may be seen before its key."""

from __future__ import annotations

import asyncio
import functools
import os
import time
from concurrent.futures import ThreadPoolExecutor

from tradespan.guard import guard
from tradespan.handoffs.by_key.key import text_of
from tradespan.handoffs.by_key.late import Late, asking
from tradespan.handoffs.by_key.stores import Store
from tradespan.handoffs.quiet import Outage

_RECEIVE = guard("handoff.key.receive")
_LOSS = "journeys that are received by key begin anew"
_SILENT_AFTER = 5  # misses in a row: nobody sends, so nobody waits until a key is found again
_FIRST_S, _LONGEST_S = 0.002, 0.016  # pauses between tries


class Receiver:
    """Asks a store for journeys. A store that fails is left alone for a while.

    Arguments:
        store: of `open_store`.
        retry: seconds within which a key that is not there yet is asked for again.
    """

    def __init__(self, store: Store, retry: float = 0.05) -> None:
        self._store, self._retry = store, retry
        self._outage = Outage(f"the store {store.name}", _LOSS)
        self._misses = 0
        _stand_up_after_fork()

    def receive(self, key: object) -> dict[str, str] | None:
        """What was sent under a key, or None. Never raises.

        In the thread of a running event loop it asks once and does not wait.

        Arguments:
            key: as it was sent.
        """
        with _RECEIVE:
            text, pause = text_of(key), _FIRST_S
            deadline = time.monotonic() + (0.0 if _in_loop() else self._patience())
            while True:
                found = self._get(text)
                if found is not None or time.monotonic() + pause > deadline:
                    return self._noted(found)
                time.sleep(pause)
                pause = min(pause * 2, _LONGEST_S)
        return None

    async def areceive(self, key: object) -> dict[str, str] | None:
        """What was sent under a key, or None; the loop goes on meanwhile. Never raises.

        Arguments:
            key: as it was sent.
        """
        with _RECEIVE:
            text, pause = text_of(key), _FIRST_S
            deadline = time.monotonic() + self._patience()
            while True:
                found = await self._aget(text, deadline - time.monotonic())
                if found is not None or time.monotonic() + pause > deadline:
                    return self._noted(found)
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_S)
        return None

    def late(self, key: object) -> Late | None:
        """A key that has not come yet, asked for in the background; None is no key. Never raises.

        Arguments:
            key: as it was sent.
        """
        with _RECEIVE:
            text = text_of(key)
            return Late(lambda: self._get(text))
        return None

    def _patience(self) -> float:
        """Seconds to wait for a key: none while nobody seems to send, as in a partial roll-out."""
        return self._retry if self._misses < _SILENT_AFTER else 0.0

    def _noted(self, found: dict[str, str] | None) -> dict[str, str] | None:
        self._misses = 0 if found is not None else self._misses + 1
        return found

    async def _aget(self, key: str, patience: float) -> dict[str, str] | None:
        asked = asyncio.get_running_loop().run_in_executor(_pool(), self._get, key)
        done, _ = await asyncio.wait({asked}, timeout=max(patience, _FIRST_S))
        return asked.result() if done else None

    def _get(self, key: str) -> dict[str, str] | None:
        if self._outage.rest():
            return None
        try:
            found = self._store.get(key)
        except Exception as error:
            self._outage.failed(error)
            return None
        self._outage.over()
        return found


def _in_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


@functools.cache
def _pool() -> ThreadPoolExecutor:
    """Threads of our own: the service's may all be busy."""
    return ThreadPoolExecutor(4, thread_name_prefix="tradespan-key")


@functools.cache
def _stand_up_after_fork() -> None:
    os.register_at_fork(after_in_child=_pool.cache_clear)
    os.register_at_fork(after_in_child=asking.cache_clear)
