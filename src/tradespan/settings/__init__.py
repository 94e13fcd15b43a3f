"""The only reader of the environment; everything else is handed frozen settings.

`current` are those of this process: what `tradespan.configure`, the distro or tradespan.yaml put
there. Where nobody did, in a notebook or a backtest, they are read when they are first asked for.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tradespan.settings import values
from tradespan.settings.values import ConfigError, duration

__all__ = [
    "PROMETHEUS",
    "ConfigError",
    "ReadSettings",
    "Settings",
    "but_for_prometheus",
    "current",
    "duration",
    "environment",
    "exporters",
    "given",
    "load",
    "read_settings",
    "set_defaults",
    "settle",
]

log = logging.getLogger("tradespan")

PROMETHEUS = "prometheus"


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of the write side, inside a service.

    Attributes:
        enabled: TRADESPAN; `off` switches all of us off and wraps nothing.
        mode: TRADESPAN_MODE, run mode of this process.
        mode_given: whether the mode was said; unset is `live` with a warning.
        pipeline: TRADESPAN_PIPELINE, name of the pipeline whose journeys begin here.
        budgets: TRADESPAN_BUDGETS, seconds by stage (`signal=150ms,total=3s`).
        exit_timeout: TRADESPAN_EXIT_TIMEOUT, most seconds that the flush at exit may take.
        max_wait: TRADESPAN_MAX_WAIT, seconds after which a hand-off's stamp is stale.
        symbol_limit: TRADESPAN_SYMBOL_LIMIT, most distinct symbols in metrics.
        propagate_to: TRADESPAN_PROPAGATE_TO, host patterns that may have our context.
        propagate_never: TRADESPAN_PROPAGATE_NEVER, host patterns that never may; wins.
        config: TRADESPAN_CONFIG, path of tradespan.yaml; unset, it is searched upwards.
        stage_spans: TRADESPAN_STAGE_SPANS, most spans of a stage in one trace, by stage; `*` is
            every other. Above it spans are counted instead of recorded; metrics stay exact.
        redact: TRADESPAN_REDACT, more key patterns (regular expressions) of secrets.
        metrics_port: TRADESPAN_METRICS_PORT of /metrics and /health; 0 is any, unset is none, or
            OTEL_EXPORTER_PROMETHEUS_PORT where OTEL_METRICS_EXPORTER names prometheus.
        metrics_host: TRADESPAN_METRICS_HOST, name or address that they listen at; likewise
            OTEL_EXPORTER_PROMETHEUS_HOST.
        metrics_targets: TRADESPAN_METRICS_TARGETS, folder for Prometheus' file discovery.
        prices: TRADESPAN_PRICES of models, a file or inline; see `recorders.prices.declared`.
        log_format: TRADESPAN_LOG_FORMAT of stdout and stderr; `json`, unset is the service's own.
        log_streams: TRADESPAN_LOG_STREAMS, stream by logger name (`payments=revenue`).
    """

    enabled: bool = True
    mode: str = "live"
    mode_given: bool = False
    pipeline: str = "default"
    budgets: Mapping[str, float] = field(default_factory=dict)
    exit_timeout: float = 2.0
    max_wait: float = 86_400.0
    symbol_limit: int = 200
    propagate_to: tuple[str, ...] = ()
    propagate_never: tuple[str, ...] = ()
    redact: tuple[str, ...] = ()
    config: str = ""
    stage_spans: Mapping[str, int] = field(default_factory=lambda: {"*": 100})
    metrics_port: int | None = None
    metrics_host: str = "127.0.0.1"
    metrics_targets: str = ""
    prices: str = ""
    log_format: str = ""
    log_streams: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ReadSettings:
    """Settings of the read side, at a desk.

    Attributes:
        cache: TRADESPAN_CACHE, folder of the programs built and of running labs.
        environ: the whole environment, to be handed on to child processes.
    """

    cache: Path
    environ: Mapping[str, str]


def read_settings(environ: Mapping[str, str] | None = None) -> ReadSettings:
    """Settings of the read side; never raises."""
    env = os.environ if environ is None else environ
    home = Path(env.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    cache = env.get("TRADESPAN_CACHE", "").strip()
    return ReadSettings(
        cache=Path(cache).expanduser() if cache else home / "tradespan", environ=dict(env)
    )


def load(environ: Mapping[str, str] | None = None) -> Settings:
    """Settings of the write side.

    Arguments:
        environ: the environment, or a stand-in for it.

    Raises:
        ConfigError: a value cannot be used; names key, value and a hint.
    """
    env = os.environ if environ is None else environ
    mode = env.get("TRADESPAN_MODE", "").strip().lower()
    limit = values.word(env, "TRADESPAN_SYMBOL_LIMIT", "200")
    if not re.fullmatch(r"[1-9][0-9]{0,8}", limit):
        raise ConfigError("TRADESPAN_SYMBOL_LIMIT", limit, "give a whole number from 1")
    return Settings(
        enabled=values.switch(env, "TRADESPAN"),
        mode=values.mode(mode) if mode else "live",
        mode_given=bool(mode),
        pipeline=values.pipeline(values.word(env, "TRADESPAN_PIPELINE", "default")),
        budgets=values.budgets(env.get("TRADESPAN_BUDGETS", "")),
        exit_timeout=values.seconds(env, "TRADESPAN_EXIT_TIMEOUT", "2s"),
        max_wait=values.seconds(env, "TRADESPAN_MAX_WAIT", "24h"),
        symbol_limit=int(limit),
        propagate_to=values.hosts(env, "TRADESPAN_PROPAGATE_TO"),
        propagate_never=values.hosts(env, "TRADESPAN_PROPAGATE_NEVER"),
        redact=values.patterns(env, "TRADESPAN_REDACT"),
        config=values.word(env, "TRADESPAN_CONFIG", ""),
        stage_spans=values.counts(env, "TRADESPAN_STAGE_SPANS", {"*": 100}),
        metrics_port=_metrics_port(env),
        metrics_host=_metrics_host(env),
        metrics_targets=values.word(env, "TRADESPAN_METRICS_TARGETS", ""),
        prices=values.word(env, "TRADESPAN_PRICES", ""),
        log_format=values.one_of(env, "TRADESPAN_LOG_FORMAT", ("", "json", "plain")),
        log_streams=values.streams(env, "TRADESPAN_LOG_STREAMS"),
    )


current: Settings
"""Settings of this process."""


def __getattr__(name: str) -> Settings:
    if name == "current":
        return settle()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def settle() -> Settings:
    """Read the environment for `current`; a wrong setting is said loudly and switches us off."""
    global current
    try:
        current = load()
    except ConfigError as error:
        log.error("tradespan is switched off: %s", error)
        current = Settings(enabled=False)
    return current


def _metrics_port(env: Mapping[str, str]) -> int | None:
    """TRADESPAN_METRICS_PORT, else the port of OpenTelemetry's exporter where that is asked for."""
    ours = values.port(env, "TRADESPAN_METRICS_PORT")
    if ours is None and PROMETHEUS in exporters(env):
        return values.port(env, "OTEL_EXPORTER_PROMETHEUS_PORT", "9464")
    return ours


def _metrics_host(env: Mapping[str, str]) -> str:
    """TRADESPAN_METRICS_HOST, else the host of OpenTelemetry's exporter where that is asked for."""
    if values.word(env, "TRADESPAN_METRICS_HOST", "") or PROMETHEUS not in exporters(env):
        return values.address(env, "TRADESPAN_METRICS_HOST", "127.0.0.1")
    return values.address(env, "OTEL_EXPORTER_PROMETHEUS_HOST", "127.0.0.1")


def exporters(environ: Mapping[str, str] | None = None) -> list[str]:
    """The exporters of metrics that the user named, `prometheus` included."""
    env = os.environ if environ is None else environ
    return [name.strip() for name in env.get("OTEL_METRICS_EXPORTER", "").split(",")]


@contextmanager
def but_for_prometheus() -> Iterator[None]:
    """As long as the block runs, OpenTelemetry's own exporter for Prometheus is not asked for.

    It takes one port, and a second worker's set-up fails on that; our /metrics stands in for it.
    """
    said = os.environ.get("OTEL_METRICS_EXPORTER")
    rest = [name for name in exporters() if name != PROMETHEUS]
    os.environ["OTEL_METRICS_EXPORTER"] = ",".join(rest) or "none"
    try:
        yield
    finally:
        if said is None:
            del os.environ["OTEL_METRICS_EXPORTER"]
        else:
            os.environ["OTEL_METRICS_EXPORTER"] = said


def set_defaults(
    defaults: Mapping[str, str], environ: MutableMapping[str, str] | None = None
) -> None:
    """Put our defaults of OpenTelemetry's own variables where the user has said nothing."""
    env = os.environ if environ is None else environ
    for key, value in defaults.items():
        if not env.get(key, "").strip():
            env[key] = value


def environment() -> Mapping[str, str]:
    """The whole environment, for `${NAME}` in tradespan.yaml."""
    return os.environ


def given(key: str) -> str:
    """The user's word for one of OpenTelemetry's own variables, or an empty string."""
    return os.environ.get(key, "").strip()
