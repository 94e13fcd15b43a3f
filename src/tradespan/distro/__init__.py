"""What `opentelemetry-instrument` starts: our defaults, then upstream's own set-up, then our rooms.

The distro and the configurator are bound to each other. Each is a list of verb-named steps.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

from opentelemetry.instrumentation.distro import BaseDistro  # type: ignore[attr-defined]
from opentelemetry.sdk._configuration import _OTelSDKConfigurator

from tradespan import settings as setting
from tradespan.distro.defaults import DEFAULTS, ENDPOINT, say_defaults, warn_of_what_is_unset
from tradespan.distro.steps import (
    carry_the_journey,
    flush_at_exit,
    hand_over_logs,
    map_the_service,
    resource_attributes,
    serve_the_endpoints,
    set_up_the_sdk,
    watch_the_collector,
)
from tradespan.settings import ConfigError, Settings

__all__ = [
    "DEFAULTS",
    "ENDPOINT",
    "Configurator",
    "Distro",
    "configure",
    "resource_attributes",
    "say_defaults",
    "warn_of_what_is_unset",
]


class Distro(BaseDistro):  # type: ignore[misc]
    """Entry point `opentelemetry_distro`: says the defaults and loads the instrumentors."""

    def _configure(self, **kwargs: Any) -> None:  # noqa: ARG002 - upstream's signature
        """Settle settings and defaults."""
        setting.settle()
        if is_resource_tracker():
            setting.current = Settings(enabled=False)
        if setting.current.enabled:
            say_defaults()
            warn_of_what_is_unset()

    def load_instrumentor(self, entry_point: Any, **kwargs: Any) -> None:
        """Instrument a library, FastAPI without its send and receive spans, pollers inside only."""
        from opentelemetry import trace

        from tradespan.export.polls import POLLING, InsideOnly

        if not setting.current.enabled:
            return
        if entry_point.name == "fastapi":
            kwargs.setdefault("exclude_spans", ["send", "receive"])
        if entry_point.name in POLLING:
            kwargs.setdefault("tracer_provider", InsideOnly(trace.get_tracer_provider()))
        super().load_instrumentor(entry_point, **kwargs)


def is_resource_tracker() -> bool:
    """Whether this is the process that cleans up after multiprocessing, which is no service."""
    return any("multiprocessing.resource_tracker" in argument for argument in sys.orig_argv)


class Configurator(_OTelSDKConfigurator):
    """Entry point `opentelemetry_configurator`: sets the SDK up, then our rooms."""

    def _configure(self, **kwargs: Any) -> None:
        """Run the steps."""
        if not setting.current.enabled:
            return
        if setting.given("OTEL_SDK_DISABLED").lower() == "true":
            return
        outage = watch_the_collector()
        set_up_the_sdk(super()._configure, outage, kwargs)
        carry_the_journey()
        hand_over_logs(outage)
        serve_the_endpoints()
        flush_at_exit()
        map_the_service()


def configure(**overrides: Any) -> None:
    """Run both entry points with these settings; see `tradespan.configure`."""
    from opentelemetry.instrumentation.auto_instrumentation._load import _load_instrumentors

    distro = Distro()
    unknown = sorted(set(overrides) - set(Settings.__slots__))
    if unknown:
        allowed = ", ".join(Settings.__slots__)
        raise ConfigError(unknown[0], overrides[unknown[0]], f"one of {allowed}")
    setting.current = replace(setting.load(), **overrides)
    if setting.current.enabled:
        say_defaults()
        warn_of_what_is_unset()
        Configurator().configure()
        _load_instrumentors(distro)
