"""The only reader of the environment; everything else is handed frozen settings."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path

from tradespan.semconv.attributes import ENUMS, TRADING_MODE

_DURATION = re.compile(r"^([0-9]{1,9}(?:\.[0-9]{1,9})?)\s*(ms|s|m|h)\Z")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_NAME = re.compile(r"^[A-Za-z0-9_.-]{1,64}\Z")
_FALSE = ("off", "0", "false", "no")
_TRUE = ("on", "1", "true", "yes", "")


class ConfigError(ValueError):
    """A setting that cannot be used.

    Attributes:
        key: the setting.
        value: what was given.
        hint: how to mend it.
    """

    def __init__(self, key: str, value: object, hint: str) -> None:
        super().__init__(f"{key}={value!r} cannot be used\nhint: {hint}")
        self.key, self.value, self.hint = key, value, hint


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
    limit = _word(env, "TRADESPAN_SYMBOL_LIMIT", "200")
    if not re.fullmatch(r"[1-9][0-9]{0,8}", limit):
        raise ConfigError("TRADESPAN_SYMBOL_LIMIT", limit, "give a whole number from 1")
    return Settings(
        enabled=_switch(env, "TRADESPAN"),
        mode=_mode(mode) if mode else "live",
        mode_given=bool(mode),
        pipeline=_pipeline(_word(env, "TRADESPAN_PIPELINE", "default")),
        budgets=_budgets(env.get("TRADESPAN_BUDGETS", "")),
        exit_timeout=_seconds(env, "TRADESPAN_EXIT_TIMEOUT", "2s"),
        max_wait=_seconds(env, "TRADESPAN_MAX_WAIT", "24h"),
        symbol_limit=int(limit),
        propagate_to=_hosts(env, "TRADESPAN_PROPAGATE_TO"),
        propagate_never=_hosts(env, "TRADESPAN_PROPAGATE_NEVER"),
        redact=_patterns(env, "TRADESPAN_REDACT"),
        config=_word(env, "TRADESPAN_CONFIG", ""),
        stage_spans=_counts(env, "TRADESPAN_STAGE_SPANS", {"*": 100}),
    )


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


def _word(env: Mapping[str, str], key: str, default: str) -> str:
    """The value of a key; empty is unset, as for OpenTelemetry's own variables."""
    return env.get(key, "").strip() or default


def _switch(env: Mapping[str, str], key: str) -> bool:
    value = env.get(key, "").strip().lower()
    if value in _FALSE:
        return False
    if value in _TRUE:
        return True
    raise ConfigError(key, value, "say on or off")


def _mode(value: str) -> str:
    allowed = ENUMS[TRADING_MODE]
    if value not in allowed:
        raise ConfigError("TRADESPAN_MODE", value, f"one of {', '.join(allowed)}")
    return value


def _pipeline(value: str) -> str:
    if not _NAME.match(value):
        raise ConfigError(
            "TRADESPAN_PIPELINE", value, "at most 64 letters, digits, dots, dashes or underscores"
        )
    return value


def _seconds(env: Mapping[str, str], key: str, default: str) -> float:
    return duration(key, _word(env, key, default))


def duration(key: str, value: str) -> float:
    """Seconds of a duration with its unit, such as 250ms, 2s, 15m or 24h.

    Arguments:
        key: the setting, for the message.

    Raises:
        ConfigError: it is none.
    """
    match = _DURATION.match(value.strip())
    if not match:
        raise ConfigError(key, value, "give a duration with its unit: 250ms, 2s, 15m or 24h")
    return float(match[1]) * _SECONDS[match[2]]


def _budgets(text: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for part in filter(None, (p.strip() for p in text.split(","))):
        stage, equals, budget = (p.strip() for p in part.partition("="))
        if not equals or not _NAME.match(stage):
            raise ConfigError("TRADESPAN_BUDGETS", part, "write it as signal=150ms,total=3s")
        found[stage] = duration("TRADESPAN_BUDGETS", budget)
    return found


def _counts(env: Mapping[str, str], key: str, default: Mapping[str, int]) -> dict[str, int]:
    found = dict(default)
    for part in filter(None, (p.strip() for p in env.get(key, "").split(","))):
        name, _, number = (p.strip() for p in part.rpartition("="))
        if not re.fullmatch(r"[0-9]{1,9}", number) or not (_NAME.match(name) or name in ("", "*")):
            raise ConfigError(key, part, "a number for every stage, or one for each: risk=20,*=100")
        found[name or "*"] = int(number)
    return found


def _hosts(env: Mapping[str, str], key: str) -> tuple[str, ...]:
    hosts = tuple(h.strip().lower() for h in env.get(key, "").split(",") if h.strip())
    for host in hosts:
        if "/" in host or (":" in host and not host.startswith("[")) or " " in host:
            raise ConfigError(key, host, "host names or patterns only: *.trading.svc, 10.0.0.7")
    return tuple(host.strip("[]") for host in hosts)


def _patterns(env: Mapping[str, str], key: str) -> tuple[str, ...]:
    found = tuple(p.strip() for p in env.get(key, "").split(",") if p.strip())
    for pattern in found:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ConfigError(key, pattern, f"not a regular expression: {error}") from None
    return found
