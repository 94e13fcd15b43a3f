"""One line for an outage of the Collector, and one when it is over; not thousands."""

from __future__ import annotations

import logging
import threading

log = logging.getLogger("tradespan.outage")


class Outage:
    """Knows whether the Collector answers, and says so when that changes.

    Arguments:
        endpoint: where telemetry goes, for the message.
    """

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
        self._out = False
        self._lock = threading.Lock()

    def told(self, success: bool) -> None:
        """Hear how an export went."""
        if not success:
            self.failed()
        elif self._out:
            self._out = False
            log.warning("the collector at %s answers again", self._endpoint)

    def failed(self) -> None:
        """Hear that an export failed; the first one of an outage is said."""
        with self._lock:
            first, self._out = not self._out, True
        if first:
            log.warning(
                "no collector answers at %s: telemetry is retried, then dropped; the service goes "
                "on (start a collector there, or set OTEL_EXPORTER_OTLP_ENDPOINT)",
                self._endpoint,
            )
