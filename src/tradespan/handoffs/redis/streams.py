"""Which streams are declared, and what becomes of their entries on both sides."""

from __future__ import annotations

import functools
import itertools
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from opentelemetry import propagate
from opentelemetry.propagators.textmap import TextMapPropagator

from tradespan import journey as journeys
from tradespan.handoffs import carrier as carriers
from tradespan.handoffs.carrier import Fields
from tradespan.semconv.attributes import TRADING_SIGNAL_ID

_REMEMBERED = 4096  # entries whose carrier is known by their id
_OURS = (TRADING_SIGNAL_ID + "=", (TRADING_SIGNAL_ID + "=").encode())


@dataclass(frozen=True, slots=True)
class Declared:
    """A declared stream.

    Attributes:
        name: of the hand-off.
        inject: whether its entries carry the journey.
    """

    name: str
    inject: bool


class _Carriers:
    """What the newest entries carried, by entry id and stream."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, dict[str, Mapping[str, str]]] = OrderedDict()
        self._lock = threading.Lock()

    def note(self, entry: str, stream: str, carrier: Mapping[str, str]) -> None:
        with self._lock:
            self._known[entry] = {**self._known.pop(entry, {}), stream: carrier}
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)

    def find(self, entry: str, stream: str | None) -> Mapping[str, str] | None:
        with self._lock:
            found = self._known.get(entry, {})
        if stream is not None:
            return found.get(stream)
        return next(iter(found.values())) if len(found) == 1 else None

    def after_fork(self) -> None:
        self._lock = threading.Lock()

    def clear(self) -> None:
        with self._lock:
            self._known.clear()


declared: dict[str, Declared] = {}
"""Declared streams, by the stream's name."""

carried = _Carriers()
"""Carriers of the entries that came here."""


def declare(name: str, stream: str, inject: bool) -> None:
    """Declare a Redis stream; a second declaration of the same stream replaces the first.

    Arguments:
        name: of the hand-off.
        stream: its key in Redis.
        inject: whether entries get the journey's fields when they are added, and lose them before
            the service reads them; False leaves entries as they are.
    """
    declared[stream] = Declared(name, inject)


def carrier_of(value: object, stream: str | None = None) -> Mapping[str, str] | None:
    """What a received entry carried. Never raises.

    Arguments:
        value: the entry's fields, its id, or the pair of both, as the client returned them.
        stream: key of the stream, where several may have an entry of this id; without it, an id
            that came from more than one stream is not known.

    Returns:
        The journey's fields as text by name; None when the entry carried none or is forgotten.
    """
    if isinstance(value, Fields):
        return value.carrier
    if isinstance(value, list | tuple) and len(value) >= 2:
        if isinstance(value[1], Fields):
            return value[1].carrier
        value = value[0]
    if isinstance(value, str | bytes | bytearray):
        return carried.find(text(value), stream)
    return None


def to_send(stream: object, fields: Any) -> Any:
    """The fields with the journey in them, where the stream is declared so and there is one.

    Fields that already have one of the names stay as they are: those are the service's own.
    """
    if not isinstance(fields, dict) or not fields or not _injected(stream):
        return fields
    if not _names().keys().isdisjoint(fields):
        return fields
    if journeys.current_journey() is not None:
        return carriers.inject(fields)
    if isinstance(fields, Fields):  # put back as it came, by code that is in no stage
        return {**fields, **fields.carrier}
    return fields


def with_journey(command: tuple[Any, ...]) -> tuple[Any, ...]:
    """The words of an XADD, which end in names and values, with the journey's after them.

    The same holds as for `to_send`.
    """
    if len(command) < 5 or not _injected(command[1]) or journeys.current_journey() is None:
        return command
    ours = _names()
    if any(isinstance(name, str | bytes) and name in ours for name in command[-2:2:-2]):
        return command
    return (*command, *itertools.chain.from_iterable(carriers.inject().items()))


def taken_out(command: str, stream: object, response: Any) -> Any:
    """The response as the service expects it, without the journey's fields.

    Arguments:
        command: XREAD, XREADGROUP, XRANGE, XREVRANGE, XCLAIM or XAUTOCLAIM.
        stream: the command's stream; the first two name theirs in the response.
        response: as the client would return it, of RESP2 or RESP3.
    """
    if command not in ("XREAD", "XREADGROUP"):
        return _entries(response, text(stream)) if _injected(stream) else response
    if isinstance(response, dict):
        return {
            name: _entries(entries, text(name)) if _injected(name) else entries
            for name, entries in response.items()
        }
    if isinstance(response, list):
        return [
            [row[0], _entries(row[1], text(row[0]))]
            if isinstance(row, list) and len(row) == 2 and _injected(row[0])
            else row
            for row in response
        ]
    return response


def text(name: object) -> str:
    """A name or an id as text, of whatever type the client has it."""
    if isinstance(name, str):
        return name
    if isinstance(name, bytes | bytearray | memoryview):
        return bytes(name).decode("utf-8", "replace")
    return str(name)


def reset() -> None:
    """Forget all streams and carriers; for tests."""
    declared.clear()
    carried.clear()


def _injected(stream: object) -> bool:
    known = declared.get(text(stream))
    return known is not None and known.inject


def _entries(value: Any, stream: str) -> Any:
    if isinstance(value, list):
        return [_entries(v, stream) for v in value]
    if isinstance(value, tuple) and len(value) >= 2 and isinstance(value[1], dict):
        return (value[0], _without(value[1], value[0], stream), *value[2:])
    return value


def _without(fields: dict[Any, Any], entry: object, stream: str) -> dict[Any, Any]:
    """The fields without the journey's; untouched where the baggage is not of a journey."""
    baggage = fields.get("baggage") or fields.get(b"baggage")
    if isinstance(baggage, str):
        if _OURS[0] not in baggage:
            return fields
    elif not isinstance(baggage, bytes) or _OURS[1] not in baggage:
        return fields
    names = _names()
    carrier = {names[k]: text(v) for k, v in fields.items() if k in names}
    carried.note(text(entry), stream, carrier)
    return Fields({k: v for k, v in fields.items() if k not in names}, carrier)


def _names() -> dict[str | bytes, str]:
    """Names of the journey's fields as any client has them: as text."""
    return _names_of(propagate.get_global_textmap())


@functools.lru_cache(4)
def _names_of(propagator: TextMapPropagator) -> dict[str | bytes, str]:
    names = propagator.fields
    return {**{name: name for name in names}, **{name.encode(): name for name in names}}
