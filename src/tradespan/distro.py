"""What `opentelemetry-instrument` starts: our defaults, then upstream's own set-up, then our rooms.

The distro and the configurator are bound to each other. Each is a list of verb-named steps.
"""

from __future__ import annotations

import atexit
import logging
import sys
from typing import Any

from opentelemetry.instrumentation.distro import BaseDistro  # type: ignore[attr-defined]
from opentelemetry.sdk._configuration import _OTelSDKConfigurator

from tradespan import instruments
from tradespan import journey as journeys
from tradespan import settings as setting
from tradespan.semconv.attributes import TRADING_MODE
from tradespan.settings import ConfigError, Settings

log = logging.getLogger("tradespan")

DEFAULTS = {
    "OTEL_PYTHON_CONFIGURATOR": "tradespan",  # bound to this distro, whatever else is installed
    "OTEL_TRACES_EXPORTER": "otlp",
    "OTEL_METRICS_EXPORTER": "otlp",
    "OTEL_LOGS_EXPORTER": "otlp",
    "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
    "OTEL_PYTHON_ID_GENERATOR": "tradespan",  # random.seed() in a strategy repeats upstream's ids
    "OTEL_SEMCONV_STABILITY_OPT_IN": "http",
    "OTEL_PYTHON_LOG_AUTO_INSTRUMENTATION": "false",  # export/logs.py hands records over instead
    "OTEL_METRIC_EXPORT_INTERVAL": "15000",
    "OTEL_BSP_SCHEDULE_DELAY": "1000",
    "OTEL_BSP_MAX_QUEUE_SIZE": "16384",
}
"""Our defaults of OpenTelemetry's own variables; the user's word wins."""

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
LOOPBACK = {"grpc": "http://127.0.0.1:4317", "http/protobuf": "http://127.0.0.1:4318"}


class Distro(BaseDistro):  # type: ignore[misc]
    """Entry point `opentelemetry_distro`: says the defaults and loads the instrumentors."""

    def _configure(self, **kwargs: Any) -> None:  # noqa: ARG002 - upstream's signature
        """Settle settings and defaults; a wrong setting is said loudly and switches us off."""
        try:
            journeys.settings = setting.load()
        except ConfigError as error:
            log.error("tradespan is switched off: %s", error)
            journeys.settings = Settings(enabled=False)
        if journeys.settings.enabled:
            say_defaults()
            warn_of_what_is_unset()

    def load_instrumentor(self, entry_point: Any, **kwargs: Any) -> None:
        """Instrument a library, FastAPI without its send and receive spans, pollers inside only."""
        from opentelemetry import trace

        from tradespan.export.polls import POLLING, InsideOnly

        if not journeys.settings.enabled:
            return
        if entry_point.name == "fastapi":
            kwargs.setdefault("exclude_spans", ["send", "receive"])
        if entry_point.name in POLLING:
            kwargs.setdefault("tracer_provider", InsideOnly(trace.get_tracer_provider()))
        super().load_instrumentor(entry_point, **kwargs)


class Configurator(_OTelSDKConfigurator):
    """Entry point `opentelemetry_configurator`: sets the SDK up, then our rooms."""

    def _configure(self, **kwargs: Any) -> None:
        """Run the steps."""
        if not journeys.settings.enabled:
            return
        if setting.given("OTEL_SDK_DISABLED").lower() == "true":
            return
        outage = watch_the_collector()
        set_up_the_sdk(super()._configure, outage, kwargs)
        bound_the_metrics()
        carry_the_journey()
        hand_over_logs(outage)
        flush_at_exit()
        map_the_service()


def configure(**overrides: Any) -> None:
    """Run both entry points with these settings; see `tradespan.configure`."""
    from dataclasses import replace

    from opentelemetry.instrumentation.auto_instrumentation._load import _load_instrumentors

    distro = Distro()
    unknown = sorted(set(overrides) - set(Settings.__slots__))
    if unknown:
        allowed = ", ".join(Settings.__slots__)
        raise ConfigError(unknown[0], overrides[unknown[0]], f"one of {allowed}")
    journeys.settings = replace(setting.load(), **overrides)
    if journeys.settings.enabled:
        say_defaults()
        warn_of_what_is_unset()
        Configurator().configure()
        _load_instrumentors(distro)


def say_defaults() -> None:
    """Put our defaults where the user has said nothing."""
    setting.set_defaults(DEFAULTS)
    protocol = setting.given("OTEL_EXPORTER_OTLP_PROTOCOL")
    setting.set_defaults({ENDPOINT: LOOPBACK.get(protocol, LOOPBACK["http/protobuf"])})


def warn_of_what_is_unset() -> None:
    """One line for each thing that everybody should say."""
    if not journeys.settings.mode_given:
        log.warning(
            "TRADESPAN_MODE is not set: this process counts as live "
            "(say live, paper, backtest, replay or synthetic)"
        )
    if setting.given("OTEL_CONFIG_FILE"):
        log.warning(
            "OTEL_CONFIG_FILE is set: OpenTelemetry ignores every other variable and tradespan's "
            "redaction, ids and resource attributes; unset it to have them"
        )


def watch_the_collector() -> Any:
    """What says an outage of the Collector once."""
    from tradespan.export.outage import Outage

    return Outage(setting.given(ENDPOINT))


def set_up_the_sdk(upstream: Any, outage: Any, given: dict[str, Any]) -> None:
    """Upstream's own set-up, with our exporters' wrapper, processors and resource."""
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    from tradespan.export.logs import JourneyLogIds
    from tradespan.export.redact import Redactor, SafeLogExporter, SafeSpanExporter
    from tradespan.export.spans import HoldUndecided, JourneyIds

    redactor = Redactor(journeys.settings.redact)

    def span_processor(exporter: Any, **_: Any) -> Any:
        return HoldUndecided(BatchSpanProcessor(SafeSpanExporter(exporter, redactor, outage.told)))

    def log_processor(exporter: Any, **_: Any) -> Any:
        return BatchLogRecordProcessor(SafeLogExporter(exporter, redactor, outage.told))

    upstream(
        **{
            "resource_attributes": resource_attributes(),
            "span_processors": [JourneyIds()],
            "export_span_processor": span_processor,
            "log_record_processors": [JourneyLogIds()],
            "export_log_record_processor": log_processor,
            "setup_logging_handler": False,
            **given,
        }
    )


def resource_attributes() -> dict[str, Any]:
    """Our resource attributes; those that the user gave stay the user's."""
    from opentelemetry.sdk.resources import OTELResourceDetector

    ours = {TRADING_MODE: journeys.settings.mode}
    return {**ours, **OTELResourceDetector().detect().attributes}


def bound_the_metrics() -> None:
    """Hold the symbols in metrics to the user's limit."""
    instruments.limit("symbol", journeys.settings.symbol_limit)


def carry_the_journey() -> None:
    """Wrap the configured propagator, answer with timings, and keep context from strangers."""
    from opentelemetry import propagate
    from opentelemetry.instrumentation.propagators import (
        get_global_response_propagator,
        set_global_response_propagator,
    )

    from tradespan.export import trust
    from tradespan.export.propagation import JourneyPropagator
    from tradespan.export.timing import StageTiming

    propagate.set_global_textmap(JourneyPropagator(propagate.get_global_textmap()))
    if get_global_response_propagator() is None:
        set_global_response_propagator(StageTiming())
    trust.install()


def hand_over_logs(outage: Any) -> None:
    """Export the service's log records, and leave its console as it was."""
    from tradespan.export import logs

    logs.install(outage, export=setting.given("OTEL_LOGS_EXPORTER") != "none")


def flush_at_exit() -> None:
    """One bounded flush in place of upstream's three unbounded ones, on SIGTERM too."""
    from opentelemetry import metrics, trace
    from opentelemetry._logs import get_logger_provider

    from tradespan.export.exit import LastFlush
    from tradespan.export.sigterm import FlushOnSigterm
    from tradespan.stages import live

    providers = [
        trace.get_tracer_provider(), metrics.get_meter_provider(), get_logger_provider()
    ]  # fmt: skip
    for provider in providers:
        if hasattr(provider, "shutdown"):
            atexit.unregister(provider.shutdown)
    flushes = [p.force_flush for p in providers if hasattr(p, "force_flush")]
    flushes.append(hand_over_by_key)
    last = LastFlush(flushes, [live.end_all], journeys.settings.exit_timeout)
    FlushOnSigterm(last.run, live.is_ending_here).install()


def hand_over_by_key() -> None:
    """Write the journeys that still wait to be handed on by key, where the service does that."""
    by_key = sys.modules.get("tradespan.handoffs.by_key")
    if by_key is not None:
        by_key.flush(journeys.settings.exit_timeout)


def map_the_service() -> None:
    """Apply tradespan.yaml, where there is one; a wrong file is said, and the service runs on."""
    from tradespan.mapping.start import start

    service = setting.given("OTEL_SERVICE_NAME")
    try:
        start(journeys.settings.config, service, setting.environment())
    except ConfigError as error:
        log.error("tradespan.yaml is not applied: %s", error)
