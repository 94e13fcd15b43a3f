"""Values of log records as JSON and OTLP can hold them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

_LONGEST: Final = 65_536  # characters of one text
_DEEPEST: Final = 6
_MOST: Final = 64  # items of one mapping or list
_LARGEST: Final = 2**63


def plain(value: Any, depth: int = 0) -> Any:
    """Text, number, boolean, None, or lists and mappings of these; bounded. Never raises."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        return value if -_LARGEST <= value < _LARGEST else text(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if getattr(value, "size", None) == 1 and hasattr(value, "item"):  # a scalar of numpy
        return plain(value.item(), depth + 1)
    if isinstance(value, bytes | bytearray | memoryview):
        return f"<{type(value).__name__}>"
    if depth < _DEEPEST and isinstance(value, Mapping):
        items = list(value.items())[:_MOST]
        return {text(k): plain(v, depth + 1) for k, v in items}
    if depth < _DEEPEST and isinstance(value, list | tuple | set | frozenset):
        return [plain(v, depth + 1) for v in list(value)[:_MOST]]
    if depth >= _DEEPEST and isinstance(value, Mapping | list | tuple | set | frozenset):
        return f"<{type(value).__name__}>"
    return text(value)


def cut(value: Any) -> Any:
    """The same with each text cut short; after it has been redacted."""
    if isinstance(value, str):
        return value if len(value) <= _LONGEST else value[:_LONGEST] + "..."
    if isinstance(value, dict):
        return {k[:256]: cut(v) for k, v in value.items()}
    return [cut(v) for v in value] if isinstance(value, list) else value


def text(value: object) -> str:
    """A value as text. Never raises."""
    try:
        return str(value)
    except Exception:
        return f"<{type(value).__name__}>"
