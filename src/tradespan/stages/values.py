"""Values of the service as telemetry can hold them."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID


def plain(value: Any) -> Any:
    """A value as a span attribute can hold it: text, number, boolean, or a list of these."""
    if isinstance(value, str):
        return text(value)
    if isinstance(value, bool | int | float):
        return value
    if isinstance(value, Enum):
        return plain(value.value)
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, date):  # a datetime is one
        return value.isoformat()
    if getattr(value, "size", None) == 1 and hasattr(value, "item"):  # a scalar of numpy
        return plain(value.item())
    if isinstance(value, list | tuple) and all(isinstance(v, str) for v in value):
        return [text(v) for v in value]
    return text(value) if isinstance(value, UUID | BaseException) else f"<{type(value).__name__}>"


def text(value: object) -> str:
    """A value as text that can be encoded, at most 4096 characters. Never raises."""
    try:
        return str(value)[:4096].encode("utf-8", "replace").decode()
    except Exception:
        return f"<{type(value).__name__}>"
