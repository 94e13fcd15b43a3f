"""Values of log records as JSON and OTLP can hold them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any, Final

LONGEST: Final = 65_536  # characters of one text
_DEEPEST: Final = 6
_MOST: Final = 64  # items of one mapping or list
_ITEMS: Final = 1000  # of all mappings and lists of one record
_TEXTS: Final = 4 * LONGEST  # characters of all its texts
_LARGEST: Final = 2**63


class Plain:
    """Makes the values of one record plain: text, number, boolean, None, or lists and mappings.

    All of them together are bounded, whatever refers to what. Never raises.
    """

    def __init__(self) -> None:
        self._items, self._texts = _ITEMS, _TEXTS  # that are left
        self._path: set[int] = set()

    def __call__(self, value: Any) -> Any:
        """The value; by its type alone where it is too deep or too much, or holds itself."""
        try:
            return self._of(value)
        except Exception:  # an object of the service's own
            return f"<{type(value).__name__}>"

    def _of(self, value: Any) -> Any:
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            return self._text(value, value)
        if isinstance(value, int):
            return value if -_LARGEST <= value < _LARGEST else text(value)
        if isinstance(value, float):
            return value if math.isfinite(value) else str(value)
        if getattr(value, "size", None) == 1 and hasattr(value, "item"):  # a scalar of numpy
            return self(value.item())
        if isinstance(value, bytes | bytearray | memoryview):
            return f"<{type(value).__name__}>"
        if isinstance(value, Mapping | list | tuple | set | frozenset):
            return self._inside(value)
        return self._text(text(value), value)

    def _text(self, told: str, value: Any) -> str:
        if self._texts <= 0:
            return f"<{type(value).__name__}>"
        self._texts -= min(len(told), 2 * LONGEST)  # more is not read
        return told

    def _inside(self, value: Any) -> Any:
        if self._items <= 0 or len(self._path) >= _DEEPEST or id(value) in self._path:
            return f"<{type(value).__name__}>"
        self._path.add(id(value))
        try:
            if isinstance(value, Mapping):
                return {text(k): self(v) for k, v in self._some(value.items())}
            return [self(v) for v in self._some(value)]
        finally:
            self._path.discard(id(value))

    def _some(self, items: Iterable[Any]) -> list[Any]:
        some = list(islice(items, min(_MOST, self._items)))
        self._items -= len(some)
        return some


def short_keys(value: Any) -> Any:
    """The same with each key cut short; after it has been redacted."""
    if isinstance(value, dict):
        return {k[:256]: short_keys(v) for k, v in value.items()}
    return [short_keys(v) for v in value] if isinstance(value, list) else value


def text(value: object) -> str:
    """A value as text. Never raises."""
    try:
        return str(value)
    except Exception:
        return f"<{type(value).__name__}>"
