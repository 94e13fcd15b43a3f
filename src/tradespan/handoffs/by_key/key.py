"""Keys and carriers as texts that both sides agree on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from enum import Enum
from typing import Any

_LONGEST = 128
_LARGEST = 32_768  # characters of one carrier

Item = tuple[str, dict[str, str], float]
"""Key, carrier, and wall clock in seconds at which it expires."""


def text_of(key: object) -> str:
    """The key as text: the same for 7, "7", b"7" and numpy's 7, at most 200 characters.

    Arguments:
        key: any scalar: text, bytes, a number, a UUID, an ObjectId, a date, an enum's member.

    Raises:
        TypeError: no scalar, or an object whose text says only where it is in memory.
    """
    if isinstance(key, Enum):
        key = key.value
    if isinstance(key, bytes | bytearray | memoryview):
        key = bytes(key).decode("utf-8", "backslashreplace")
    if key is None or isinstance(key, Mapping | list | tuple | set | frozenset):
        raise TypeError(f"{type(key).__name__} is no key")
    if type(key).__str__ is object.__str__ and type(key).__repr__ is object.__repr__:
        raise TypeError(f"{type(key).__name__} is no key: it has no text")
    text = str(key).encode("utf-8", "backslashreplace").decode()  # also where surrogates stand
    if len(text) <= _LONGEST:
        return text
    return f"{text[:_LONGEST]}~{hashlib.sha256(text.encode()).hexdigest()}"


def carrier_in(value: Any) -> dict[str, str] | None:
    """The carrier of a kept text; None where somebody else wrote it."""
    if not isinstance(value, str | bytes) or len(value) > _LARGEST:
        return None
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or not all(isinstance(v, str) for v in found.values()):
        return None
    return found
