"""What has been seen before, within bounds."""

from __future__ import annotations

import threading
from collections import OrderedDict


class Memory:
    """How often each of the latest keys has been seen; bounded.

    Arguments:
        size: most keys remembered.
    """

    def __init__(self, size: int = 10_000) -> None:
        self._size = size
        self._seen: OrderedDict[object, int] = OrderedDict()
        self._lock = threading.Lock()

    def count(self, key: object) -> int:
        """See a key once more; 1 for the first time."""
        with self._lock:
            times = self._seen.pop(key, 0) + 1
            self._seen[key] = times
            if len(self._seen) > self._size:
                self._seen.popitem(last=False)
        return times

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._seen.clear()
