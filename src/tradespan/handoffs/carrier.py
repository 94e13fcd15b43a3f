"""Inject a journey into what is handed on, and extract it from what arrives.

A carrier is anything that can hold two short texts, `traceparent` and `baggage`: the fields of a
Redis stream entry, Kafka headers, the body of a message, or a database row with two text columns.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, overload

from opentelemetry import context, propagate
from opentelemetry.context import Context

from tradespan import journey as journeys
from tradespan import settings as setting
from tradespan.guard import guard
from tradespan.journey import Hop

_INJECT = guard("handoff.inject")
_EXTRACT = guard("handoff.extract")

Headers = list[tuple[str, bytes]]


class Fields(dict[Any, Any]):
    """Fields as the service knows them, after the journey's own have been taken out.

    A dict in every respect: equal to the plain one, and shown and serialised like it. It can be
    copied and pickled.

    Attributes:
        carrier: what was taken out, as text by name.
    """

    carrier: Mapping[str, str]

    def __init__(self, fields: Mapping[Any, Any], carrier: Mapping[str, str]) -> None:
        super().__init__(fields)
        self.carrier = carrier

    def copy(self) -> Fields:
        """A copy that remembers the same carrier."""
        return Fields(self, self.carrier)


@overload
def inject(carrier: None = None) -> dict[str, str]: ...
@overload
def inject(carrier: Mapping[Any, Any]) -> dict[Any, Any]: ...
@overload
def inject(carrier: Sequence[tuple[str, bytes]]) -> Headers: ...
def inject(carrier: Any = None) -> Any:
    """A copy of the carrier with the journey in it. Never raises for the journey's sake.

    Arguments:
        carrier: fields, a message or a row as a mapping, or Kafka headers as (name, bytes) pairs;
            nothing gives the bare context. Entries of the same names are replaced.

    Returns:
        A dict for a mapping, a list of pairs for pairs.
    """
    fields: dict[str, str] = {}
    with _INJECT:
        if setting.current.enabled:
            propagate.inject(fields)
    if carrier is None:
        return fields
    if isinstance(carrier, Mapping):
        return {**{k: v for k, v in carrier.items() if _text(k).lower() not in fields}, **fields}
    kept = [pair for pair in carrier if _text(pair[0]).lower() not in fields]
    return [*kept, *((name, value.encode()) for name, value in fields.items())]


class extract:  # noqa: N801 - a context manager that reads as a verb
    """`with tradespan.extract(fields): ...` goes on with the journey that arrived, with no stage.

    Nothing in the block is measured; a carrier that cannot be read leaves the block without a
    journey. Never raises.

    Arguments:
        carrier: as for `inject`; also a row with attributes or `keys()`, keys and values of bytes.
    """

    def __init__(self, carrier: object) -> None:
        self._carrier = carrier

    def __enter__(self) -> journeys.Journey | None:
        ctx = arrived(self._carrier)
        self._token = context.attach(ctx)
        return journeys.current_journey(ctx)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        context.detach(self._token)


def arrived(carrier: object) -> Context:
    """The context that a carrier brings: parent span, journey and hop, and nothing from here."""
    with _EXTRACT:
        ctx = propagate.extract(_fields(carrier), context=Context())
        return ctx if journeys.current_hop(ctx) else _without_stamp(ctx)
    return journeys.with_hop(Hop(problem="malformed", broken="malformed"), Context())


def _without_stamp(ctx: Context) -> Context:
    """A context without a hop: nothing arrived, or another propagator than ours is configured."""
    journey = journeys.read(ctx)
    if journey is None:
        return journeys.with_hop(Hop(problem="missing", broken="missing"), ctx)
    return journeys.with_hop(Hop(problem="missing"), journeys.with_journey(journey, ctx))


def _fields(carrier: object) -> dict[str, str]:
    """The propagation fields of whatever the carrier is, as text."""
    wanted = {name.lower() for name in propagate.get_global_textmap().fields}
    found = {}
    for key, value in _pairs(carrier, wanted):
        name = _text(key).lower()
        if name in wanted and isinstance(value, str | bytes) and value:
            found[name] = _text(value)
    return found


def _pairs(carrier: Any, wanted: set[str]) -> Iterable[tuple[Any, Any]]:
    if isinstance(carrier, Fields):
        return carrier.carrier.items()
    if isinstance(carrier, Mapping):
        return carrier.items()
    if hasattr(carrier, "_mapping"):  # a row of SQLAlchemy
        return _pairs(carrier._mapping, wanted)
    if hasattr(carrier, "keys"):  # a row of sqlite3
        return [(key, carrier[key]) for key in carrier.keys()]  # noqa: SIM118 - not a mapping
    if isinstance(carrier, list | tuple) and not hasattr(carrier, "_fields"):
        return [tuple(p) for p in carrier if isinstance(p, list | tuple) and len(p) == 2]
    return [(name, getattr(carrier, name, None)) for name in wanted]


def _text(value: object) -> str:
    if isinstance(value, bytes | bytearray):
        return value.decode("utf-8", "replace")
    return str(value).encode("utf-8", "replace").decode()
