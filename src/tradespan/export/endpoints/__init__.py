"""/metrics and /health of this process: on a port of its own, or inside its ASGI application.

`start` listens, `asgi_app` is mounted; nothing runs until one of them is called.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
from typing import TYPE_CHECKING, Any

from opentelemetry import metrics

from tradespan import settings as setting
from tradespan.guard import guard
from tradespan.settings import ConfigError

if TYPE_CHECKING:
    from tradespan.export.endpoints.answer import ASGIEndpoints
    from tradespan.export.endpoints.monitor import Address, Monitor
    from tradespan.export.endpoints.scrape import Scrapes

log = logging.getLogger("tradespan")

__all__ = ["asgi_app", "leave", "start", "stop"]

_START = guard("endpoints.start")
_lock = threading.RLock()
_scrapes: Scrapes | None = None
_monitor: Monitor | None = None


def start(host: str = "", port: int = 0) -> Address | None:
    """Serve /metrics and /health of this process at an address; again at another one, if called so.

    Where the port is taken, a free one is used instead and said. In a process that only supervises
    workers nothing is served, its workers are.

    Arguments:
        host: name or address of this machine; empty is TRADESPAN_METRICS_HOST, by default loopback.
        port: 0 to 65535; 0 takes a free one.

    Returns:
        where it is reached; None where nothing is served, and why is said.

    Raises:
        ConfigError: the port is no port; whatever else happens is said, never raised.
    """
    if isinstance(port, bool) or not isinstance(port, int) or not 0 <= port <= 65535:
        raise ConfigError("port", port, "give a whole number from 0 to 65535; 0 is any free one")
    if _switched_off():
        log.info("/metrics and /health are not served: telemetry is switched off")
        return None
    with _START, _lock:
        from tradespan.export.endpoints.monitor import Address
        from tradespan.export.endpoints.supervisors import is_fork_server

        if is_fork_server():
            return None

        monitor = _the_monitor()
        return monitor.listen(Address(host or setting.current.metrics_host, port))
    return None


def asgi_app() -> ASGIEndpoints:
    """An ASGI application for inside the service's own: `app.mount("/monitoring", asgi_app())`.

    It answers `metrics` and `health` below the place of the mount. With several workers behind one
    port a scrape meets any of them: have them listen at ports of their own then. Never raises.
    """
    from tradespan.export.endpoints.answer import ASGIEndpoints

    with _START:
        if hasattr(metrics.get_meter_provider(), "add_metric_reader"):
            _the_scrapes()  # counts from now on, not from the first scrape
    return ASGIEndpoints(lambda: _the_scrapes().families())


def leave() -> None:
    """Take this process out of the targets' folder, before it ends. Never raises."""
    with _START:
        if _monitor is not None:
            _monitor.leave()


def stop() -> None:
    """Serve no longer, at any port. Never raises."""
    with _START, _lock:
        if _monitor is not None:
            _monitor.stop()


def _switched_off() -> bool:
    off = setting.given("OTEL_SDK_DISABLED").lower() == "true"
    return off or not setting.current.enabled


def _the_monitor() -> Monitor:
    global _monitor
    if _monitor is None:
        from tradespan.export.endpoints import supervisors
        from tradespan.export.endpoints.monitor import Monitor
        from tradespan.export.endpoints.targets import Targets

        folder = setting.current.metrics_targets
        targets = Targets(folder, setting.given("OTEL_SERVICE_NAME")) if folder else None
        _monitor = Monitor(_the_scrapes(), targets)
        supervisors.install(_monitor.give_way)
        atexit.register(leave)
    return _monitor


def _the_scrapes() -> Scrapes:
    global _scrapes
    with _lock:
        if _scrapes is None:
            from tradespan.export.endpoints import health
            from tradespan.export.endpoints.collect import collector
            from tradespan.export.endpoints.scrape import Scrapes

            _scrapes = Scrapes(collector(None if _switched_off() else _provider()))
            health.tell("scrapes", _scrapes.facts)
            _warn_of_two_paths()
        return _scrapes


def _provider() -> Any:
    """The SDK's meter provider; one of our own where the process has none yet."""
    from opentelemetry.sdk.metrics import MeterProvider

    provider = metrics.get_meter_provider()
    if not hasattr(provider, "add_metric_reader"):
        from opentelemetry.sdk.resources import Resource

        from tradespan.semconv.attributes import TRADING_MODE

        mode = {TRADING_MODE: setting.current.mode}
        provider = MeterProvider(resource=Resource.create(mode), shutdown_on_exit=False)
        metrics.set_meter_provider(provider)
        if hasattr(os, "register_at_fork"):  # not on Windows
            from tradespan.export.exit import forget_what_the_parent_counted

            os.register_at_fork(after_in_child=forget_what_the_parent_counted)
    return provider


def _warn_of_two_paths() -> None:
    pushing = set(setting.exporters()) - {"", "none", setting.PROMETHEUS}
    if not _switched_off() and pushing:
        log.warning(
            "metrics leave by OTLP and stand on /metrics too: if both reach one Prometheus, every "
            "sum doubles (set OTEL_METRICS_EXPORTER=none, or do not scrape this process)"
        )
