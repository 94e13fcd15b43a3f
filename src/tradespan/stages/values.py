"""Values of the service as telemetry can hold them."""

from __future__ import annotations

import math
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

_MOST = 64  # items of a list
_LARGEST = 2**63  # an integer attribute has 64 bits


def plain(value: Any) -> Any:
    """A value as a span attribute can hold it: text, number, boolean, or a short list of these.

    What is none of these is told by its type, NaN and infinity by their names; nothing is turned
    into text that may be huge or cyclic. Never raises.
    """
    if isinstance(value, list | tuple) and len(value) <= _MOST:
        told = [_scalar(v) for v in value]
        kinds = {type(v) for v in told}
        return told if len(kinds) <= 1 else [str(v) for v in told]
    return _scalar(value)


def _scalar(value: Any) -> Any:
    if isinstance(value, Enum):
        return _scalar(value.value)
    if isinstance(value, bool):
        return value
    if isinstance(value, float):  # NaN in a sum makes all of it NaN, for ever
        return value if math.isfinite(value) else str(value)
    if isinstance(value, int):
        return value if -_LARGEST <= value < _LARGEST else text(float_or_nan(value))
    if isinstance(value, Decimal):
        return _scalar(float_or_nan(value))
    if isinstance(value, date):  # a datetime is one
        return value.isoformat()
    if isinstance(value, str | UUID | BaseException):
        return text(value)
    if getattr(value, "size", None) == 1 and hasattr(value, "item"):  # a scalar of numpy
        return _scalar(value.item())
    return f"<{type(value).__name__}>"


def float_or_nan(value: Any) -> float:
    """A number as float, NaN where it is none. Never raises."""
    try:
        return float(value)
    except (ArithmeticError, TypeError, ValueError):
        return float("nan")


def epoch_seconds(value: Any) -> float:
    """A time as seconds since the epoch, NaN where it is none; datetimes must be aware."""
    return value.timestamp() if isinstance(value, datetime) else float_or_nan(value)


def text(value: object) -> str:
    """A value as text that can be encoded, at most 4096 characters. Never raises."""
    try:
        return str(value)[:4096].encode("utf-8", "replace").decode()
    except Exception:
        return f"<{type(value).__name__}>"
