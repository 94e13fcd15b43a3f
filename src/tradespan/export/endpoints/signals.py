"""How the export of each signal goes: its exporter and its queue, watched."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tradespan.guard import guard

_WATCH = guard("health.watch")


@dataclass
class Signal:
    """How the export of one signal (traces, metrics, logs) goes.

    Attributes:
        succeeded: time of the last successful export, seconds since the epoch.
        failed: time of the last one that failed.
        exported: spans or log records that the collector took; exports of metrics.
        dropped: spans or log records that left the queue unsent, or found it full.
        processor: the SDK's batch processor, whose queue is looked at.
    """

    succeeded: float = 0.0
    failed: float = 0.0
    exported: int = 0
    dropped: int = 0
    processor: Any = None

    def reachable(self) -> bool | None:
        """Whether the last export succeeded; None before the first."""
        if not self.succeeded and not self.failed:
            return None
        return self.succeeded >= self.failed

    def report(self) -> dict[str, Any]:
        """The same for /health."""
        return {
            "reachable": self.reachable(),
            "last_success": _iso(self.succeeded),
            "last_failure": _iso(self.failed),
            "exported": self.exported,
            "dropped": self.dropped,
            "queue": _queue(self.processor),
        }


class Watched:
    """An exporter whose successes and failures are noted; everything else is its own.

    Arguments:
        inner: exporter of spans, metrics or log records.
        signal: where to note.
        each: whether a refused batch is lost for good; metrics are told again next time.
        noted: is called after each export.
    """

    def __init__(
        self, inner: Any, signal: Signal, *, each: bool, noted: Callable[[], object]
    ) -> None:
        self._inner, self._signal, self._each, self._noted = inner, signal, each, noted

    def export(self, batch: Any, *args: Any, **kwargs: Any) -> Any:
        """Export and note how it went."""
        success = False
        try:
            result = self._inner.export(batch, *args, **kwargs)
            success = result.name == "SUCCESS"
            return result
        finally:
            with _WATCH:
                self._note(success, len(batch) if self._each else 1)
                self._noted()

    def _note(self, success: bool, number: int) -> None:
        if success:
            self._signal.succeeded = time.time()
            self._signal.exported += number
        else:
            self._signal.failed = time.time()
            self._signal.dropped += number if self._each else 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class Drops:
    """The batch processor's own figures, listened to."""

    def __init__(self, inner: Any, signal: Signal) -> None:
        self._inner, self._signal = inner, signal

    def drop_items(self, count: int, *args: Any, **kwargs: Any) -> None:
        """Count what found the queue full."""
        self._signal.dropped += count
        self._inner.drop_items(count, *args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def _queue(batch: Any) -> dict[str, Any] | None:
    with _WATCH:
        if batch is not None:
            size, capacity = len(batch._queue), batch._max_queue_size
            return {"size": size, "capacity": capacity, "fill": round(size / capacity, 4)}
    return None


def _iso(seconds: float) -> str | None:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds") if seconds else None
