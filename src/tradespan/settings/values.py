"""What a setting's text means; each says key, value and a hint where it means nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping

from tradespan.semconv.attributes import ENUMS, TRADING_LOG_STREAM, TRADING_MODE

_DURATION = re.compile(r"^([0-9]{1,9}(?:\.[0-9]{1,9})?)\s*(ms|s|m|h)\Z")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_NAME = re.compile(r"^[A-Za-z0-9_.-]{1,64}\Z")
SWITCH = {
    **dict.fromkeys(("on", "1", "true", "yes"), True),
    **dict.fromkeys(("off", "0", "false", "no"), False),
}
"""What a word says of something that is on or off."""


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


def word(env: Mapping[str, str], key: str, default: str) -> str:
    """The value of a key; empty is unset, as for OpenTelemetry's own variables."""
    return env.get(key, "").strip() or default


def switch(env: Mapping[str, str], key: str) -> bool:
    """Whether a key is on; unset is. Raises ConfigError."""
    value = env.get(key, "").strip().lower()
    if value and value not in SWITCH:
        raise ConfigError(key, value, "say on or off")
    return SWITCH.get(value, True)


def mode(value: str) -> str:
    """A run mode. Raises ConfigError."""
    allowed = ENUMS[TRADING_MODE]
    if value not in allowed:
        raise ConfigError("TRADESPAN_MODE", value, f"one of {', '.join(allowed)}")
    return value


def pipeline(value: str) -> str:
    """A pipeline's name. Raises ConfigError."""
    if not _NAME.match(value):
        raise ConfigError(
            "TRADESPAN_PIPELINE", value, "at most 64 letters, digits, dots, dashes or underscores"
        )
    return value


def seconds(env: Mapping[str, str], key: str, default: str) -> float:
    """Seconds of a duration. Raises ConfigError."""
    return duration(key, word(env, key, default))


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


def budgets(text: str) -> dict[str, float]:
    """Seconds by stage. Raises ConfigError."""
    found: dict[str, float] = {}
    for part in filter(None, (p.strip() for p in text.split(","))):
        stage, equals, budget = (p.strip() for p in part.partition("="))
        if not equals or not _NAME.match(stage):
            raise ConfigError("TRADESPAN_BUDGETS", part, "write it as signal=150ms,total=3s")
        found[stage] = duration("TRADESPAN_BUDGETS", budget)
    return found


def counts(env: Mapping[str, str], key: str, default: Mapping[str, int]) -> dict[str, int]:
    """Whole numbers by name. Raises ConfigError."""
    found = dict(default)
    for part in filter(None, (p.strip() for p in env.get(key, "").split(","))):
        name, _, number = (p.strip() for p in part.rpartition("="))
        if not re.fullmatch(r"[0-9]{1,9}", number) or not (_NAME.match(name) or name in ("", "*")):
            raise ConfigError(key, part, "a number for every stage, or one for each: risk=20,*=100")
        found[name or "*"] = int(number)
    return found


def port(env: Mapping[str, str], key: str, default: str = "") -> int | None:
    """A port, None where unset. Raises ConfigError."""
    text = word(env, key, default)
    if text and not (re.fullmatch(r"[0-9]{1,5}", text) and int(text) <= 65535):
        raise ConfigError(key, text, "a port from 1 to 65535; 0 is any free one; unset is none")
    return int(text) if text else None


def address(env: Mapping[str, str], key: str, default: str) -> str:
    """One name or address. Raises ConfigError."""
    host = word(env, key, default).strip("[]")
    if not re.fullmatch(r"[A-Za-z0-9_.:%-]{1,255}", host):
        raise ConfigError(key, host, "one name or address: 127.0.0.1, 0.0.0.0 or ::")
    return host


def one_of(env: Mapping[str, str], key: str, allowed: tuple[str, ...]) -> str:
    """One of the allowed words. Raises ConfigError."""
    value = env.get(key, "").strip().lower()
    if value not in allowed:
        raise ConfigError(key, value, f"one of {', '.join(filter(None, allowed))}")
    return value


def streams(env: Mapping[str, str], key: str) -> dict[str, str]:
    """Stream by logger name. Raises ConfigError."""
    found: dict[str, str] = {}
    for part in filter(None, (p.strip() for p in env.get(key, "").split(","))):
        name, _, stream = (p.strip() for p in part.partition("="))
        if not name or stream not in ENUMS[TRADING_LOG_STREAM]:
            allowed = ", ".join(ENUMS[TRADING_LOG_STREAM])
            raise ConfigError(key, part, f"write it as payments=revenue; streams are {allowed}")
        found[name] = stream
    return found


def hosts(env: Mapping[str, str], key: str) -> tuple[str, ...]:
    """Host patterns. Raises ConfigError."""
    hosts = tuple(h.strip().lower() for h in env.get(key, "").split(",") if h.strip())
    for host in hosts:
        if "/" in host or (":" in host and not host.startswith("[")) or " " in host:
            raise ConfigError(key, host, "host names or patterns only: *.trading.svc, 10.0.0.7")
    return tuple(host.strip("[]") for host in hosts)


def patterns(env: Mapping[str, str], key: str) -> tuple[str, ...]:
    """Regular expressions. Raises ConfigError."""
    found = tuple(p.strip() for p in env.get(key, "").split(",") if p.strip())
    for pattern in found:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ConfigError(key, pattern, f"not a regular expression: {error}") from None
    return found
