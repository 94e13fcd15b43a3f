"""The truth about this process's telemetry, for /health: learned here, told there.

What exports is watched as it is set up; what a higher room knows is told by a callback.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from opentelemetry import trace

from tradespan import guard as guards
from tradespan import journey as journeys
from tradespan.export import outage
from tradespan.export.redact import Redactor
from tradespan.guard import guard

Facts = Callable[[], Mapping[str, Any]]
"""Facts that JSON can say; those under `trouble` (a list of sentences) degrade the status."""

_FACTS = guard("health.facts")
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
    """

    def __init__(self, inner: Any, signal: Signal, *, each: bool) -> None:
        self._inner, self._signal, self._each = inner, signal, each

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

    def _note(self, success: bool, number: int) -> None:
        if success:
            self._signal.succeeded = time.time()
            self._signal.exported += number
        else:
            self._signal.failed = time.time()
            self._signal.dropped += number if self._each else 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class _Drops:
    """The batch processor's own figures, listened to."""

    def __init__(self, inner: Any, signal: Signal) -> None:
        self._inner, self._signal = inner, signal

    def drop_items(self, count: int, *args: Any, **kwargs: Any) -> None:
        """Count what found the queue full."""
        self._signal.dropped += count
        self._inner.drop_items(count, *args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


_signals: dict[str, Signal] = {}
_facts: dict[str, Facts] = {}
_began = time.time()
_endpoint = ""


def watch_exporter(signal: str, exporter: Any) -> Any:
    """The exporter, watched.

    Arguments:
        signal: traces, metrics or logs.
        exporter: the configured one.
    """
    return Watched(exporter, _signals.setdefault(signal, Signal()), each=signal != "metrics")


def watch_queue(signal: str, processor: Any) -> Any:
    """The batch processor itself; its queue and what it drops are known from now on."""
    known = _signals.setdefault(signal, Signal())
    with _WATCH:
        known.processor = batch = processor._batch_processor
        batch._metrics = _Drops(batch._metrics, known)
    return processor


def watch_metrics(provider: Any, endpoint: str = "") -> None:
    """Watch what the provider's periodic readers export with.

    Arguments:
        provider: the SDK's meter provider.
        endpoint: where telemetry goes, for the report.
    """
    global _endpoint
    _endpoint = Redactor().text(endpoint)
    if hasattr(os, "register_at_fork"):  # not on Windows
        os.register_at_fork(after_in_child=_begin_anew)
    with _WATCH:
        for reader in getattr(provider, "_metric_readers", ()):
            if hasattr(reader, "_exporter"):
                reader._exporter = watch_exporter("metrics", reader._exporter)


def tell(name: str, facts: Facts) -> None:
    """Let a room tell its own facts under this name; it is asked at each request.

    Arguments:
        name: key in the report.
        facts: see `Facts`; one that fails is left out and counted.
    """
    _facts[name] = facts


def report() -> dict[str, Any]:
    """What /health says. The status is of the telemetry: the service lives, since it answers."""
    told = _told()
    reachable = _reachable()
    trouble = [sentence for facts in told.values() for sentence in facts.pop("trouble", ())]
    if reachable is False:
        trouble.append(f"telemetry does not get through to {_endpoint or 'the collector'}")
    for name, signal in _signals.items():
        if signal.dropped:
            trouble.append(f"{signal.dropped} {name} dropped")
    trouble += [f"telemetry failed at {site}" for site in dict(guards.failures)]
    return {
        "live": True,
        "status": "degraded" if trouble else "ok",
        "trouble": trouble,
        **_who(),
        "exporter": {"endpoint": _endpoint, "reachable": reachable},
        "signals": {name: signal.report() for name, signal in _signals.items()},
        "failures": dict(guards.failures),
        **told,
    }


def _begin_anew() -> None:
    """Forget, in a forked process, what the parent has counted."""
    global _began
    _began = time.time()
    for signal in _signals.values():
        signal.succeeded = signal.failed = 0.0
        signal.exported = signal.dropped = 0


def _told() -> dict[str, dict[str, Any]]:
    told: dict[str, dict[str, Any]] = {}
    for name, facts in list(_facts.items()):
        with _FACTS:
            told[name] = dict(facts())
    return told


def _reachable() -> bool | None:
    latest = max(
        _signals.values(), key=lambda one: max(one.succeeded, one.failed), default=Signal()
    )
    known = latest.reachable()
    return False if known is None and outage.going_on() else known


def _who() -> dict[str, Any]:
    resource = getattr(trace.get_tracer_provider(), "resource", None)
    attributes = resource.attributes if resource is not None else {}
    return {
        "service": attributes.get("service.name", ""),
        "instance": attributes.get("service.instance.id", ""),
        "mode": journeys.settings.mode,
        "pid": os.getpid(),
        "uptime_seconds": round(time.time() - _began, 3),
        "threads": threading.active_count(),
        "tradespan": version("tradespan"),
    }


def _queue(batch: Any) -> dict[str, Any] | None:
    with _WATCH:
        if batch is not None:
            size, capacity = len(batch._queue), batch._max_queue_size
            return {"size": size, "capacity": capacity, "fill": round(size / capacity, 4)}
    return None


def _iso(seconds: float) -> str | None:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds") if seconds else None
