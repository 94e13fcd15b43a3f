"""SIGTERM ends the process as it always did, after the last flush.

Our handler stands where SIGTERM has its default action, and nowhere else. It looks like the default
to everyone: uvicorn and gunicorn put the default back before they end, and that is ours again.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

_AGAIN = 0.003  # seconds until the signal is sent again when it came at a bad moment
_PATIENCE = 100  # how often


class FlushOnSigterm:
    """Runs a flush before SIGTERM's default action.

    Arguments:
        flush: bounded.
        busy: whether this thread is where it must not be held up.
    """

    def __init__(self, flush: Callable[[], object], busy: Callable[[], bool]) -> None:
        self._flush, self._busy, self._tries = flush, busy, 0
        self._signal, self._getsignal = signal.signal, signal.getsignal

    def install(self) -> None:
        """Stand in for the default action; does nothing outside the main thread."""
        if threading.current_thread() is not threading.main_thread():
            return
        if self._getsignal(signal.SIGTERM) is signal.SIG_DFL:
            self._signal(signal.SIGTERM, self._terminate)
        signal.signal = self._set  # type: ignore[assignment]
        signal.getsignal = self._get  # type: ignore[assignment]

    def _set(self, number: int, handler: Any) -> Any:
        if number == signal.SIGTERM and handler == signal.SIG_DFL:
            handler = self._terminate
        return self._shown(self._signal(number, handler))

    def _get(self, number: int) -> Any:
        return self._shown(self._getsignal(number))

    def _shown(self, handler: Any) -> Any:
        return signal.SIG_DFL if handler == self._terminate else handler

    def _terminate(self, number: int, frame: FrameType | None) -> None:
        if self._tries < _PATIENCE and (self._busy() or _inside_sdk(frame)):
            self._tries += 1
            again = threading.Timer(_AGAIN, os.kill, (os.getpid(), number))
            again.daemon = True
            again.start()
            return
        if os.getpid() == 1:  # a container's first process: its default action is to go on
            return
        self._flush()
        self._signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)


def _inside_sdk(frame: FrameType | None) -> bool:
    """Whether the signal came inside the SDK, which may hold a lock that the flush needs."""
    while frame is not None:
        if frame.f_globals.get("__name__", "").startswith(
            ("opentelemetry.sdk.", "opentelemetry.exporter.")
        ):
            return True
        frame = frame.f_back
    return False
