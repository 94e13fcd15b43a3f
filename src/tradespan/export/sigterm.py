"""SIGTERM ends the process as it always did, after the last flush.

Our handler stands where SIGTERM has its default action. It looks like the default to everyone:
uvicorn and gunicorn put the default back before they end, and that is ours again. Other handlers,
which may raise KeyboardInterrupt or SystemExit, wait until the stage that is just ending has ended.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

_ENDING = (signal.SIGTERM, signal.SIGINT)
_AGAIN = 0.003  # seconds until the signal is sent again when it came at a bad moment
_PATIENCE = 100  # how often


class FlushOnSigterm:
    """Runs a flush before SIGTERM's default action; lets no handler tear a stage's end in two.

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
        interrupt = self._getsignal(signal.SIGINT)
        if callable(interrupt):
            self._signal(signal.SIGINT, _Patient(interrupt, self._postponed))
        signal.signal = self._set  # type: ignore[assignment]
        signal.getsignal = self._get  # type: ignore[assignment]

    def _set(self, number: int, handler: Any) -> Any:
        if number == signal.SIGTERM and handler == signal.SIG_DFL:
            handler = self._terminate
        elif number in _ENDING and callable(handler):
            handler = _Patient(handler, self._postponed)
        return self._shown(self._signal(number, handler))

    def _get(self, number: int) -> Any:
        return self._shown(self._getsignal(number))

    def _shown(self, handler: Any) -> Any:
        if isinstance(handler, _Patient):
            return handler.inner
        return signal.SIG_DFL if handler == self._terminate else handler

    def _postponed(self, number: int, frame: FrameType | None) -> bool:
        """Whether the signal came at a bad moment; it is sent again then."""
        if self._tries >= _PATIENCE or not (self._busy() or _inside_sdk(frame)):
            return False
        self._tries += 1
        again = threading.Timer(_AGAIN, os.kill, (os.getpid(), number))
        again.daemon = True
        again.start()
        return True

    def _terminate(self, number: int, frame: FrameType | None) -> None:
        if self._postponed(number, frame):
            return
        if os.getpid() == 1:  # a container's first process: its default action is to go on
            return
        self._flush()
        self._signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)


class _Patient:
    """A handler of the service's own or of Python's, called as soon as the moment is good.

    Arguments:
        inner: the handler.
        postponed: whether the moment is bad, and the signal comes again.
    """

    def __init__(
        self, inner: Callable[..., Any], postponed: Callable[[int, FrameType | None], bool]
    ) -> None:
        self.inner, self._postponed = inner, postponed

    def __call__(self, number: int, frame: FrameType | None) -> Any:
        return None if self._postponed(number, frame) else self.inner(number, frame)


def _inside_sdk(frame: FrameType | None) -> bool:
    """Whether the signal came inside the SDK, which may hold a lock that the flush needs."""
    while frame is not None:
        if frame.f_globals.get("__name__", "").startswith(
            ("opentelemetry.sdk.", "opentelemetry.exporter.")
        ):
            return True
        frame = frame.f_back
    return False
