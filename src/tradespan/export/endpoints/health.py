"""The truth about this process's telemetry, for /health: learned here, told there.

What exports is watched as it is set up; what a higher room knows is told by a callback.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import version
from typing import Any

from opentelemetry import trace

from tradespan import guard as guards
from tradespan import settings as setting
from tradespan.export import outage
from tradespan.export.endpoints.signals import Drops, Signal, Watched
from tradespan.export.redact import Redactor
from tradespan.guard import guard

Facts = Callable[[], Mapping[str, Any]]
"""Facts that JSON can say; those under `trouble` (a list of sentences) degrade the status."""

_FACTS = guard("health.facts")
_WATCH = guard("health.watch")
_LATELY = 600.0  # seconds for which what went wrong is trouble; it is counted for ever
_now = time.monotonic

_signals: dict[str, Signal] = {}
_facts: dict[str, Facts] = {}
_seen: dict[str, tuple[float, float]] = {}
_began = time.time()
_endpoint = ""


def watch_exporter(signal: str, exporter: Any) -> Any:
    """The exporter, watched.

    Arguments:
        signal: traces, metrics or logs.
        exporter: the configured one.
    """
    known = _signals.setdefault(signal, Signal())
    return Watched(exporter, known, each=signal != "metrics", noted=look)


def watch_queue(signal: str, processor: Any) -> Any:
    """The batch processor itself; its queue and what it drops are known from now on."""
    known = _signals.setdefault(signal, Signal())
    with _WATCH:
        known.processor = batch = processor._batch_processor
        batch._metrics = Drops(batch._metrics, known)
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
    trouble += look()
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


def look() -> list[str]:
    """What has gone wrong lately, a sentence each.

    It is noted when a count is seen to have changed: at each export, scrape and question.
    """
    now, lately = _now(), []
    for sentence, key, times in _wrong():
        before, when = _seen.get(key, (0, now))
        if times != before:
            _seen[key] = times, (when := now)
        if sentence and times and now - when < _LATELY:
            lately.append(sentence)
    return lately


def _wrong() -> Iterator[tuple[str, str, float]]:
    """Each thing that can go wrong: a sentence, a key, and what grows each time that it does."""
    others = _reachable()
    for name, signal in list(_signals.items()):
        yield f"{signal.dropped} {name} dropped", f"{name} dropped", signal.dropped
        alone = f"{name} do not get through, others do" if others else ""
        yield alone, name, 0 if signal.reachable() else signal.failed
    for site, times in dict(guards.failures).items():
        yield f"telemetry failed at {site}", f"at {site}", times


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
        "mode": setting.current.mode,
        "pid": os.getpid(),
        "uptime_seconds": round(time.time() - _began, 3),
        "threads": threading.active_count(),
        "tradespan": version("tradespan"),
    }
