"""One service of the file: its stages, sends, calls, values and counts, put where they belong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tradespan.mapping import blocks, clients, config, receive
from tradespan.mapping.apply import Make, Wrapping
from tradespan.mapping.blocks import Around
from tradespan.mapping.hosts import Hosts
from tradespan.mapping.record import Entry, Record
from tradespan.mapping.routes import Routes
from tradespan.mapping.stage_block import Received, StageBlock
from tradespan.stages.calls import call
from tradespan.stages.decorate import Block


def apply(estate: config.Estate, service: str) -> Record:
    """Apply the file to this service.

    Arguments:
        service: its name; one that the file does not have is mapped to nothing.

    Returns:
        What becomes of every target, now and later.

    Raises:
        ConfigError: the store of a hand-off cannot be used.
    """
    record = Record()
    mapped = estate.services.get(service)
    if mapped is None:
        return record
    received, senders = receive.declare(estate, service)
    wrapping, routes, hosts = Wrapping(record), Routes(), Hosts()
    at = f"services.{service}"
    for name, send in mapped.send.items():
        wrapping.plan(f"{at}.send.{name}", send.after, _send(send, senders[name]))
    for name, calls in mapped.calls.items():
        _calls(f"{at}.calls.{name}", name, calls, wrapping, hosts, record)
    for name, value in mapped.values.items():
        wrapping.plan(f"{at}.values.{name}", value.after, _value(name, value))
    for name, count in mapped.counts.items():
        wrapping.plan(f"{at}.counts.{name}", count.after, _count(name, count))
        made = [_init(target) for target in count.raises]
        wrapping.plan(f"{at}.counts.{name}", made, _count(name, count))
    for name, stage in mapped.stages.items():  # last: a stage stands around all else
        make = _stage(name, stage, received)
        wrapping.plan(f"{at}.stages.{name}", stage.run, make)
        wrapping.plan(f"{at}.stages.{name}", stage.returns, make, made=True)
        for method, path in stage.route:
            entry = record.add(f"{at}.stages.{name}", f"{method} {path}")
            routes.add(method, path, make(Around(entry.place, entry)), _wrapped(entry))
    wrapping.install()
    routes.install()
    hosts.install()
    return record


def _stage(name: str, stage: config.Stage, received: dict[str, Received]) -> Make:
    def make(around: Around) -> Block:
        return StageBlock(around, name=name, config=stage, received=received)

    return make


def _send(send: config.Send, sender: receive.Send) -> Make:
    def make(around: Around) -> Block:
        return blocks.SendBlock(around, key=send.key, send=sender)

    return make


def _value(name: str, value: config.Value) -> Make:
    def make(around: Around) -> Block:
        return blocks.ValueBlock(around, name=name, value=value)

    return make


def _count(name: str, count: config.Count) -> Make:
    def make(around: Around) -> Block:
        return blocks.CountBlock(around, name=name, count=count)

    return make


def _calls(
    place: str, name: Any, calls: config.CallsOf, wrapping: Wrapping, hosts: Hosts, record: Record
) -> None:
    timed = call(name)

    def make(around: Around) -> Block:
        return blocks.CallBlock(around, timed=timed)

    wrapping.plan(place, calls.run, make)
    for host in calls.hosts:
        entry = record.add(place, host)
        entry.state = "wrapped"
        hosts.add(host, timed, model=name == "llm", fired=_fired(entry))
    if calls.client:
        entry = record.add(place, calls.client)
        clients.install(calls.client, timed, _wrapped(entry), _fired(entry))


def _init(exception: Any) -> Any:
    """An exception counts when it is made."""
    return type(exception)(exception.text, exception.module, (*exception.names, "__init__"))


def _wrapped(entry: Entry) -> Callable[[], None]:
    def tell() -> None:
        entry.state = "wrapped"

    return tell


def _fired(entry: Entry) -> Callable[[], None]:
    def tell() -> None:
        entry.fired += 1

    return tell
