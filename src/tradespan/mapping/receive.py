"""Hand-offs of the file: how each is received, and what sends those by key."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tradespan.mapping.config import Estate, Handoff
from tradespan.mapping.paths import MISSING
from tradespan.mapping.stage_block import Late, Received

if TYPE_CHECKING:
    from tradespan.handoffs import by_key

Send = Callable[[Any], None]
STORE = "sqlite:///tradespan-handoffs.sqlite"
"""Where keys are kept when no store is named: beside tradespan.yaml, for services of one host."""


class Message:
    """The message itself is the carrier: Kafka headers, a body, a row with two text columns."""

    def receive(self, value: Any) -> Any:
        """The value at the path."""
        return None if value is MISSING else value

    async def areceive(self, value: Any) -> Any:
        """The same."""
        return self.receive(value)

    def late(self, value: Any) -> None:
        """Nothing: a message comes with its carrier."""


class Stream(Message):
    """An entry of a Redis stream: its fields, its id, or both as a pair.

    Arguments:
        name: of the stream.
        carrier_of: knows what was taken out of its entries.
    """

    def __init__(self, name: str, carrier_of: Callable[[Any, str], Any]) -> None:
        self._name, self._carrier_of = name, carrier_of

    def receive(self, value: Any) -> Any:
        """What was taken out of the entry; fields that still hold it serve as well."""
        found = self._carrier_of(value, self._name)
        return found if found is not None or not isinstance(value, dict) else value


class Keyed:
    """A row, or anything else with a key.

    Arguments:
        receiver: asks the store, within a bound.
    """

    def __init__(self, receiver: by_key.Receiver) -> None:
        self._receiver = receiver

    def receive(self, value: Any) -> Any:
        """What was sent under this key."""
        return None if value is MISSING or value is None else self._receiver.receive(value)

    async def areceive(self, value: Any) -> Any:
        """The same, in a loop."""
        return None if value is MISSING or value is None else await self._receiver.areceive(value)

    def late(self, value: Any) -> Late | None:
        """What may still come under this key."""
        return None if value is MISSING or value is None else self._receiver.late(value)


def declare(
    estate: Estate, service: str, folder: Path
) -> tuple[dict[str, Received], dict[str, Send]]:
    """Open what a service needs of the estate's hand-offs.

    Arguments:
        estate: the file.
        service: its name.
        folder: of the file; a relative store is the same for all services then.

    Returns:
        How each hand-off is received, and what sends those by key, both by name.

    Raises:
        ConfigError: a store cannot be used.
    """
    mapped = estate.services[service]
    used = {*mapped.send, *(name for stage in mapped.stages.values() for name in stage.receive)}
    received: dict[str, Received] = {}
    senders: dict[str, Send] = {}
    for name, handoff in estate.handoffs.items():
        if handoff.redis_stream:
            received[name] = _stream(name, handoff, service)
        elif handoff.key is None:
            received[name] = Message()
        elif name in used:
            received[name], senders[name] = _keyed(handoff, folder)
    return received, senders


def _stream(name: str, handoff: Handoff, service: str) -> Stream:
    from tradespan.handoffs import redis  # only where a stream is declared

    assert handoff.redis_stream is not None
    redis.declare(name, handoff.redis_stream, handoff.inject)
    redis.install()
    if handoff.owner == service and handoff.group:
        redis.watch(handoff.redis_stream, handoff.group)
    return Stream(handoff.redis_stream, redis.carrier_of)


def _keyed(handoff: Handoff, folder: Path) -> tuple[Keyed, Send]:
    from tradespan.handoffs import by_key  # only where rows are handed on by key

    assert handoff.key is not None
    store = by_key.open_store(handoff.store or STORE, handoff.key, handoff.ttl, folder)
    return Keyed(by_key.Receiver(store, handoff.retry)), by_key.Sender(store).send
