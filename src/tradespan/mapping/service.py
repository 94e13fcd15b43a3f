"""One service of the file: its stages, sends, calls, values and counts, put where they belong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tradespan.decorate import Block
from tradespan.mapping import blocks, config, receive
from tradespan.mapping.apply import Make, Wrapping
from tradespan.mapping.blocks import Around
from tradespan.mapping.record import Entry, Record
from tradespan.mapping.stage_block import Received, StageBlock
from tradespan.stages.calls import call


def apply(estate: config.Estate, service: str, folder: Path) -> Record:
    """Apply the file to this service.

    Arguments:
        estate: the file.
        service: its name; one that the file does not have is mapped to nothing.
        folder: of the file, of which a relative store is.

    Returns:
        What becomes of every target, now and later.

    Raises:
        ConfigError: the store of a hand-off cannot be used.
    """
    record = Record()
    mapped = estate.services.get(service)
    if mapped is None:
        return record
    received, senders = receive.declare(estate, service, folder)
    wrapping, at = Wrapping(record), f"services.{service}"
    for name, send in mapped.send.items():
        wrapping.plan(f"{at}.send.{name}", send.after, _send(send, senders[name]))
    for name, calls in mapped.calls.items():
        wrapping.plan(f"{at}.calls.{name}", calls.run, _call(name))
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
    wrapping.install()
    _routes(at, mapped, received, record)
    _hosts(at, mapped, record)
    _clients(at, mapped, record)
    return record


def _routes(at: str, mapped: config.Service, received: dict[str, Received], record: Record) -> None:
    found = [(name, stage) for name, stage in mapped.stages.items() if stage.route]
    if not found:
        return
    from tradespan.mapping.routes import Routes  # as the next two: only where there are any

    routes = Routes()
    for name, stage in found:
        for method, path in stage.route:
            entry = record.add(f"{at}.stages.{name}", f"{method} {path}")
            entry.why = "no application has this route"
            block = _stage(name, stage, received)(Around(entry.place, entry))
            routes.add(method, path, block, _wrapped(entry))
    routes.install()


def _hosts(at: str, mapped: config.Service, record: Record) -> None:
    found: list[tuple[Any, str]] = [(n, host) for n, c in mapped.calls.items() for host in c.hosts]
    if not found:
        return
    from tradespan.mapping.hosts import Hosts

    hosts = Hosts()
    for name, host in found:
        entry = record.add(f"{at}.calls.{name}", host)
        entry.why = "no client that is timed is imported yet"
        hosts.add(host, call(name), name == "llm", _wrapped(entry), _fired(entry))
    hosts.install()


def _clients(at: str, mapped: config.Service, record: Record) -> None:
    found: list[tuple[Any, str]] = [(n, c.client) for n, c in mapped.calls.items() if c.client]
    if not found:
        return
    from tradespan.mapping import clients

    for name, client in found:
        entry = record.add(f"{at}.calls.{name}", client)
        clients.install(client, call(name), _wrapped(entry), _fired(entry))


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


def _call(name: Any) -> Make:
    timed = call(name)

    def make(around: Around) -> Block:
        return blocks.CallBlock(around, timed=timed)

    return make


def _init(exception: Any) -> Any:
    """An exception counts when it is made."""
    return type(exception)(exception.text, exception.module, (*exception.names, "__init__"))


def _wrapped(entry: Entry) -> Callable[[], None]:
    def tell() -> None:
        entry.state, entry.why = "wrapped", ""

    return tell


def _fired(entry: Entry) -> Callable[[], None]:
    def tell() -> None:
        entry.fired += 1

    return tell
