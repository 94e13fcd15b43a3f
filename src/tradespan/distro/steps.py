"""The steps of the set-up, each one of them a verb; `Configurator` runs them in order."""

from __future__ import annotations

import atexit
import logging
import sys
from typing import Any

from tradespan import settings as setting
from tradespan.distro.defaults import ENDPOINT
from tradespan.semconv.attributes import TRADING_MODE
from tradespan.settings import ConfigError

log = logging.getLogger("tradespan")


def watch_the_collector() -> Any:
    """What says an outage of the Collector once."""
    from tradespan.export.outage import Outage

    return Outage(setting.given(ENDPOINT))


def set_up_the_sdk(upstream: Any, outage: Any, given: dict[str, Any]) -> None:
    """Upstream's own set-up, with our exporters' wrapper, processors and resource."""
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    from tradespan.export.endpoints import health
    from tradespan.export.logs import JourneyLogIds
    from tradespan.export.redact import Redactor, SafeLogExporter, SafeSpanExporter
    from tradespan.export.spans import HoldUndecided, JourneyIds

    redactor = Redactor(setting.current.redact)

    def watched(signal: str, batch: Any, safe: Any, exporter: Any) -> Any:
        exporter = health.watch_exporter(signal, exporter)
        return health.watch_queue(signal, batch(safe(exporter, redactor, outage.told)))

    def span_processor(exporter: Any, **_: Any) -> Any:
        return HoldUndecided(watched("traces", BatchSpanProcessor, SafeSpanExporter, exporter))

    def log_processor(exporter: Any, **_: Any) -> Any:
        return watched("logs", BatchLogRecordProcessor, SafeLogExporter, exporter)

    with setting.but_for_prometheus():
        upstream(
            **{
                "resource_attributes": resource_attributes(),
                "span_processors": [JourneyIds(), *count_the_models()],
                "export_span_processor": span_processor,
                "log_record_processors": [JourneyLogIds()],
                "export_log_record_processor": log_processor,
                "setup_logging_handler": False,
                **given,
            }
        )


def count_the_models() -> list[Any]:
    """What takes tokens and cost out of the spans of the official GenAI instrumentations."""
    from tradespan.export.models import ModelSpans
    from tradespan.recorders import prices, spending

    prices.applied(setting.current.prices)  # what is wrong with them is said now
    return [ModelSpans(spending.note_span)]


def serve_the_endpoints() -> None:
    """Serve /metrics and /health where that is asked for; /health learns what the rooms know."""
    from opentelemetry.metrics import get_meter_provider

    from tradespan.export.endpoints import health, start
    from tradespan.mapping import start as mapping

    health.watch_metrics(get_meter_provider(), setting.given(ENDPOINT))
    health.tell("targets", lambda: mapping.current.health() if mapping.current else {})
    if setting.current.metrics_port is not None:
        start(port=setting.current.metrics_port)


def resource_attributes() -> dict[str, Any]:
    """Our resource attributes; those that the user gave stay the user's."""
    from opentelemetry.sdk.resources import OTELResourceDetector

    ours = {TRADING_MODE: setting.current.mode}
    return {**ours, **OTELResourceDetector().detect().attributes}


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
    """Export the service's log records, and leave its console as it was or make it JSON lines."""
    from tradespan.current import facts
    from tradespan.export import json_lines, logs, other_loggers
    from tradespan.export.json_lines import JsonLines
    from tradespan.export.log_fields import Fields
    from tradespan.export.redact import Redactor

    settings = setting.current
    fields = Fields(settings.log_streams, facts)
    service = str(resource_attributes().get("service.name", ""))
    lines = JsonLines(fields, Redactor(settings.redact), service)
    export = setting.given("OTEL_LOGS_EXPORTER") != "none"
    other_loggers.lines = lines
    other_loggers.hand_over = logs.install(outage, export, fields)
    if settings.log_format == "json":
        json_lines.install(lines)


def flush_at_exit() -> None:
    """One bounded flush in place of upstream's three unbounded ones, on SIGTERM too."""
    from opentelemetry import metrics, trace
    from opentelemetry._logs import get_logger_provider

    from tradespan.export.endpoints import leave
    from tradespan.export.exit import LastFlush
    from tradespan.export.sigterm import FlushOnSigterm
    from tradespan.stages import live

    providers = trace.get_tracer_provider(), metrics.get_meter_provider(), get_logger_provider()
    for provider in providers:
        if hasattr(provider, "shutdown"):
            atexit.unregister(provider.shutdown)
    flushes = [p.force_flush for p in providers if hasattr(p, "force_flush")]
    flushes.append(hand_over_by_key)
    last = LastFlush(flushes, [leave, live.end_all], setting.current.exit_timeout)
    FlushOnSigterm(last.run, live.is_ending_here).install()


def hand_over_by_key() -> None:
    """Write the journeys that still wait to be handed on by key, where the service does that."""
    by_key = sys.modules.get("tradespan.handoffs.by_key")
    if by_key is not None:
        by_key.flush(setting.current.exit_timeout)


def map_the_service() -> None:
    """Apply tradespan.yaml, where there is one; a wrong file is said, and the service runs on."""
    from tradespan.mapping.start import start

    service = setting.given("OTEL_SERVICE_NAME")
    try:
        start(setting.current.config, service, setting.environment())
    except ConfigError as error:
        log.error("tradespan.yaml is not applied: %s", error)
    except Exception:  # else nothing at all would be instrumented
        log.exception("tradespan.yaml is not applied")
