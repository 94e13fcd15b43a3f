"""How our own use of a store stays unnoticed: no spans, and one line an outage."""

from __future__ import annotations

import logging
import re
import threading
import time
from types import TracebackType

from opentelemetry import context
from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY

log = logging.getLogger("tradespan")

_REST = (0.5, 15.0)  # seconds before a store that does not answer is asked again: first and most
_OURS = context.create_key("tradespan-ours")
_CREDENTIALS = re.compile(r"//[^@/]*@")


class unseen:  # noqa: N801 - reads as a keyword
    """`with unseen(): ...` keeps instrumentations from making spans of what happens inside."""

    def __enter__(self) -> None:
        ctx = context.Context({_SUPPRESS_INSTRUMENTATION_KEY: True, _OURS: True})
        self._token = context.attach(ctx)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        context.detach(self._token)


def is_ours() -> bool:
    """Whether this happens inside `unseen`."""
    return bool(context.get_value(_OURS))


class Outage:
    """Knows whether something answers, says so when that changes, and how long to leave it alone.

    Arguments:
        what: does not answer, for the message.
        loss: what is missing meanwhile.
    """

    def __init__(self, what: str, loss: str) -> None:
        self._what, self._loss = what, loss
        self._failures = 0
        self._until = 0.0
        self._lock = threading.Lock()

    def failed(self, error: Exception) -> None:
        """Hear of a failure; the first one of an outage is said."""
        with self._lock:
            self._failures += 1
            first = self._failures == 1
            rest = min(_REST[0] * 2 ** min(self._failures - 1, 10), _REST[1])
            self._until = time.monotonic() + rest
        if first:
            log.warning(
                "%s does not answer: %s (%s: %s)",
                self._what,
                self._loss,
                type(error).__name__,
                masked(str(error)),
            )

    def over(self) -> None:
        """Hear of a success; the first one after an outage is said."""
        if self._failures:
            with self._lock:
                was, self._failures, self._until = self._failures, 0, 0.0
            if was:
                log.warning("%s answers again", self._what)

    def rest(self) -> float:
        """Seconds for which it is to be left alone; 0 when it may be asked."""
        return max(0.0, self._until - time.monotonic()) if self._failures else 0.0

    def after_fork(self) -> None:
        """Begin anew in a child."""
        self._lock = threading.Lock()


def masked(url: str) -> str:
    """The text with the credentials of URLs in it masked."""
    return _CREDENTIALS.sub("//***@", url)
