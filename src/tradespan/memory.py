"""What has been seen before, within bounds."""

from __future__ import annotations

import os
import threading
import weakref
from collections import OrderedDict


class Memory:
    """How often each of the latest keys has been seen; bounded.

    Arguments:
        size: most keys remembered.
    """

    def __init__(self, size: int = 10_000) -> None:
        self._size = size
        self.clear()
        _all.add(self)

    def count(self, key: object) -> int:
        """See a key once more; 1 for the first time."""
        with self._lock:
            times = self._seen.pop(key, 0) + 1
            self._seen[key] = times
            if len(self._seen) > self._size:
                self._seen.popitem(last=False)
        return times

    def clear(self) -> None:
        """Forget all, without waiting for the lock: a forked child may find it held for ever."""
        self._lock = threading.Lock()
        self._seen: OrderedDict[object, int] = OrderedDict()


_all: weakref.WeakSet[Memory] = weakref.WeakSet()


def _after_fork() -> None:
    for memory in _all:
        memory.clear()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_after_fork)
