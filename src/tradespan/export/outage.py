"""One line for an outage of the Collector, and one when it is over; not thousands."""

from __future__ import annotations

import logging
import threading
import time

from tradespan.export.redact import Redactor

log = logging.getLogger("tradespan.outage")

_now_out = threading.Event()
_QUIET = 60.0  # seconds after a recovery in which the next outage is not said; doubles each time
_QUIET_AT_MOST = 3600.0


class Outage:
    """Knows whether the Collector answers, and says so when that changes.

    One that comes and goes, or takes spans but no logs, is said less and less often.

    Arguments:
        endpoint: where telemetry goes, for the message.
    """

    def __init__(self, endpoint: str) -> None:
        self._endpoint = Redactor().text(endpoint)
        self._out = False
        self._quiet, self._quiet_until = _QUIET, 0.0
        self._lock = threading.Lock()

    def told(self, success: bool) -> None:
        """Hear how an export went."""
        if not success:
            self.failed()
            return
        with self._lock:
            over, self._out = self._out, False
            if over:
                self._quiet_until = time.monotonic() + self._quiet
                self._quiet = min(2 * self._quiet, _QUIET_AT_MOST)
        if over:
            _now_out.clear()
            _say("the collector at %s answers again", self._endpoint)

    def failed(self, refusal: str = "") -> None:
        """Hear that an export failed; the first one of an outage is said.

        Arguments:
            refusal: what the exporter says of an answer that it will not try again.
        """
        with self._lock:
            first = not self._out and time.monotonic() >= self._quiet_until
            self._out = self._out or first
        if first:
            _now_out.set()
            _say(
                "no collector %s at %s%s: telemetry is retried, then dropped; the service goes "
                "on (start a collector there, or set OTEL_EXPORTER_OTLP_ENDPOINT)",
                "takes telemetry" if refusal else "answers",
                self._endpoint,
                f" ({refusal[:200]})" if refusal else "",
            )


def going_on() -> bool:
    """Whether an outage has been said and is not over."""
    return _now_out.is_set()


def unsent(seconds: float) -> None:
    """Say that the last flush met its bound, unless the outage has been said already."""
    if not going_on():
        _say("no collector took the last telemetry within %g s: what was unsent is lost", seconds)


def _say(message: str, *arguments: object) -> None:
    log.disabled = False  # dictConfig disables by default what was there before it
    log.warning(message, *arguments)
