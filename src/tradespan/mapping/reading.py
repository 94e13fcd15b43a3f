"""Values out of a call, as the file names them: read, put into our words, held to scalars."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, Final
from uuid import UUID

from tradespan.mapping.notes import say_once
from tradespan.mapping.paths import MISSING, Call, Path

_PER_SECOND = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}
_readings: dict[str, list[int]] = {}
SCALARS: Final = (str, bool, int, float, Decimal, UUID, date)
"""What is one text, number or time."""
_LONGEST = 4096  # characters that are taken of bytes or of an exception


def as_written(value: Any) -> Any:
    """A value as the file would write it, to be compared with what the file has. Never raises.

    Bytes are their text, an Enum's member its value, an exception its text or the name of its
    class, a scalar of numpy Python's own; all else is what it is.
    """
    try:
        if isinstance(value, Enum):
            return as_written(value.value)
        if isinstance(value, bytes):
            return value[:_LONGEST].decode("utf-8", "replace")
        if isinstance(value, BaseException):
            return str(value)[:_LONGEST] or type(value).__name__
        if hasattr(type(value), "item") and getattr(value, "size", None) == 1:
            return value.item()
    except Exception:  # what the service's own objects raise stays here
        return value
    return value


def scalar(value: Any, place: str) -> Any:
    """A value as telemetry can hold it, or None; what is not a text or number is said once.

    No object is turned into text here: a cyclic or huge one costs no more than a small one.
    """
    value = as_written(value)
    if value is MISSING or value is None:
        return None
    if isinstance(value, SCALARS):
        return value
    say_once(place, f"is a {type(value).__name__}, not a text or a number; left out")
    return None


def read(
    wanted: Mapping[str, Path], words: Mapping[str, Mapping[str, str]], call: Call, place: str
) -> dict[str, Any]:
    """The values that are known now.

    Arguments:
        wanted: path by name.
        words: the service's words and ours, by name.
        call: with its result, or without it yet.
        place: in the file, for messages.
    """
    found: dict[str, Any] = {}
    for name, path in wanted.items():
        where, raw = f"{place}.{name}: {path.text}", path.read(call)
        if path.source != "error" and name != "reason":  # only a failure has those
            count_reading(where, found=raw is not MISSING)
        value = scalar(raw, where)
        if value is None:
            continue
        if name in words:
            value = _ours(words[name], value)
        found[name] = value
    return found


def _ours(words: Mapping[str, str], value: Any) -> Any:
    """Our word for a value; a boolean may be written as YAML writes it, or as Python does."""
    text = str(value)
    other = words.get(text.lower(), value) if isinstance(value, bool) else value
    return words.get(text, other)


def count_reading(where: str, found: bool) -> None:
    """Note whether a path led somewhere; a typo in one is silent otherwise."""
    counts = _readings.setdefault(where, [0, 0])
    counts[found] += 1


def led_nowhere() -> list[str]:
    """Paths that were read and never led anywhere, with the number of calls."""
    return [
        f"{where} led nowhere in {missed} calls"
        for where, (missed, found) in list(_readings.items())
        if missed and not found
    ]


def event_time(value: Any, unit: str, place: str) -> datetime | float | None:
    """When the market event happened: seconds since the epoch, or an aware datetime.

    Arguments:
        value: a number in `unit`, a datetime, or ISO 8601 text.
        unit: s, ms, us or ns.
    """
    value = scalar(value, place)
    if isinstance(value, datetime):
        return value
    if isinstance(value, bool | None):
        return None
    try:
        if isinstance(value, str) and not value.replace(".", "", 1).isdigit():
            return datetime.fromisoformat(value)
        return float(value) / _PER_SECOND[unit]
    except (TypeError, ValueError):
        say_once(place, f"{value!r:.64} is no time")
        return None


def number(value: Any, place: str) -> float | None:
    """A gauge's number: true is 1, false and nothing are 0; anything else is said once."""
    value = as_written(value)
    if value is None or isinstance(value, bool):
        return float(bool(value))
    try:
        return float(value)
    except (TypeError, ValueError):
        if value is not MISSING:
            say_once(place, f"a {type(value).__name__} is no number; left out")
        return None


def whole(value: Any) -> int | None:
    """A whole number from 1, or None where it is none."""
    text = str(value).strip()
    return int(text) if text.isascii() and text.isdigit() and 0 < int(text) < 10**6 else None
