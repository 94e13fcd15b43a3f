"""Keys that had not come when their stage began: asked for in the background until it ends."""

from __future__ import annotations

import functools
import heapq
import itertools
import threading
import time
from collections.abc import Callable

Carrier = dict[str, str]
_FIRST_S, _LONGEST_S = 0.016, 60.0  # pauses between two questions, each twice the one before


class Late:
    """A key that may still come; asked for ever more seldom, and no more after two minutes.

    Arguments:
        ask: what is kept under the key; never raises.
    """

    def __init__(self, ask: Callable[[], Carrier | None]) -> None:
        self._ask: Callable[[], Carrier | None] | None = ask
        self._found: Carrier | None = None
        asking().put(self, _FIRST_S)

    def take(self) -> Carrier | None:
        """What has come by now, at once; nothing is asked any more."""
        self._ask = None
        return self._found

    def question(self) -> bool:
        """Ask once; whether to ask again."""
        ask = self._ask
        if ask is not None:
            self._found = ask()
        return ask is not None and self._found is None


class _Asking:
    """One thread that asks for all of them, each at its time."""

    def __init__(self) -> None:
        self._due: list[tuple[float, int, float, Late]] = []
        self._number = itertools.count()
        self._more = threading.Condition()
        threading.Thread(target=self._run, name="tradespan-late", daemon=True).start()

    def put(self, late: Late, pause: float) -> None:
        """Ask for this one after a pause in seconds."""
        with self._more:
            at = time.monotonic() + pause
            heapq.heappush(self._due, (at, next(self._number), pause, late))
            if self._due[0][0] == at:
                self._more.notify()

    def _run(self) -> None:
        while True:
            late, pause = self._next()
            if late.question() and pause < _LONGEST_S:
                self.put(late, 2 * pause)

    def _next(self) -> tuple[Late, float]:
        with self._more:
            while not self._due or (wait := self._due[0][0] - time.monotonic()) > 0:
                self._more.wait(wait if self._due else None)
            _, _, pause, late = heapq.heappop(self._due)
            return late, pause


@functools.cache
def asking() -> _Asking:
    """The one of this process; a forked child clears it and begins anew."""
    return _Asking()
