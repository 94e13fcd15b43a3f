"""Our defaults of OpenTelemetry's own variables, and what everybody should say."""

from __future__ import annotations

import logging
from importlib.util import find_spec

from tradespan import settings as setting

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

INSTRUMENTATION_OF_ANTHROPIC = "opentelemetry.instrumentation.genai.anthropic"
ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
LOOPBACK = {"grpc": "http://127.0.0.1:4317", "http/protobuf": "http://127.0.0.1:4318"}


def say_defaults() -> None:
    """Put our defaults where the user has said nothing."""
    setting.set_defaults(DEFAULTS)
    disabled = setting.given("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS").split(",")
    if "anthropic" not in map(str.strip, disabled) and is_there(INSTRUMENTATION_OF_ANTHROPIC):
        setting.set_defaults({"ANTHROPIC_OPEN_TELEMETRY": "false"})  # its SDK traces itself too
    protocol = setting.given("OTEL_EXPORTER_OTLP_PROTOCOL")
    setting.set_defaults({ENDPOINT: LOOPBACK.get(protocol, LOOPBACK["http/protobuf"])})


def is_there(module: str) -> bool:
    """Whether a module of a package that may be missing altogether is installed."""
    try:
        return find_spec(module) is not None
    except ImportError:
        return False


def warn_of_what_is_unset() -> None:
    """One line for each thing that everybody should say."""
    if not setting.current.mode_given:
        log.warning(
            "TRADESPAN_MODE is not set: this process counts as live "
            "(say live, paper, backtest, replay or synthetic)"
        )
    if setting.given("OTEL_CONFIG_FILE"):
        log.warning(
            "OTEL_CONFIG_FILE is set: OpenTelemetry ignores every other variable and tradespan's "
            "redaction, ids and resource attributes; unset it to have them"
        )
