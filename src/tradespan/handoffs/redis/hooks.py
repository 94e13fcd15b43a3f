"""Where redis-py is held: its commands, and the moment a pipeline's answers come back.

`execute_command` is where every command goes through, also one that the service spells out itself;
sync and async clients, their pipelines and those of clusters have it in every redis-py since 5.
`xadd` is held too: there the fields are still what the service read, and no span of the command has
begun yet.
"""

from __future__ import annotations

import inspect
import logging
import os
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import wrapt

from tradespan.guard import guard
from tradespan.handoffs import quiet
from tradespan.handoffs.redis import connection, streams

log = logging.getLogger("tradespan")

_SEND = guard("redis.send")
_RECEIVE = guard("redis.receive")
_SEE = guard("redis.client")
_READS = {"XREAD", "XREADGROUP", "XRANGE", "XREVRANGE", "XCLAIM", "XAUTOCLAIM"}
_CLIENTS = (
    ("redis.client", "Redis"),
    ("redis.asyncio.client", "Redis"),
    ("redis.cluster", "RedisCluster"),
    ("redis.asyncio.cluster", "RedisCluster"),
)
_PIPELINES = (
    ("redis.client", "Pipeline"),
    ("redis.asyncio.client", "Pipeline"),
    ("redis.cluster", "ClusterPipeline"),
    ("redis.asyncio.cluster", "ClusterPipeline"),
)
_QUEUES = ("command_stack", "_command_queue", "_command_stack")
_lock = threading.Lock()
_installed = False


def install() -> None:
    """Hook into redis-py as soon as it is imported; nothing happens while no stream is declared.

    A second call does nothing. A place that this redis-py does not have is one warning.
    """
    global _installed
    with _lock:
        if _installed or not streams.declared:
            return
        _installed = True
    os.register_at_fork(after_in_child=streams.carried.after_fork)
    wrapt.register_post_import_hook(_hook, "redis")


def _hook(module: Any) -> None:
    missing = list(_hold())
    if missing:
        log.warning(
            "redis %s has no %s: the journeys of declared streams may not pass there",
            getattr(module, "__version__", "of this version"),
            ", ".join(missing),
        )


def _hold() -> Iterator[str]:
    """Wrap each place; gives the names of those that are missing."""
    places: list[tuple[str, str, Callable[..., Any]]] = [
        ("redis.commands.core", "StreamCommands.xadd", _xadd),
        *((module, f"{name}.execute_command", _command) for module, name in _CLIENTS + _PIPELINES),
        *((module, f"{name}.execute", _execute) for module, name in _PIPELINES),
    ]
    for module, name, wrapper in places:
        try:
            wrapt.wrap_function_wrapper(module, name, wrapper)
        except (AttributeError, ImportError):
            yield f"{module}.{name}"


def _xadd(wrapped: Callable[..., Any], _: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    if streams.declared:
        with _SEND:
            if len(args) > 1:
                args = (args[0], streams.to_send(args[0], args[1]), *args[2:])
            elif "fields" in kwargs:
                stream = args[0] if args else kwargs.get("name")
                kwargs = {**kwargs, "fields": streams.to_send(stream, kwargs["fields"])}
    return wrapped(*args, **kwargs)


def _command(wrapped: Callable[..., Any], instance: Any, args: Any, kwargs: Any) -> Any:
    """Send a command: an entry with the journey, what is read without it."""
    name = ""
    if streams.declared:
        with _SEND:
            name = _name(args)
            _see(instance, name, args)
            args = streams.with_journey(args) if name == "XADD" else args
    result = wrapped(*args, **kwargs)
    if name not in _READS or result is instance:  # a pipeline answers later
        return result
    return _then(result, lambda response: streams.taken_out(name, args[1], response))


def _name(args: Any) -> str:
    """The command's name, where it adds or reads entries and is not our own."""
    name = streams.text(args[0]).upper() if args else ""
    return name if (name == "XADD" or name in _READS) and not quiet.is_ours() else ""


def _execute(wrapped: Callable[..., Any], instance: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Run a pipeline and take the journeys out of what its reading commands answer."""
    reads: list[tuple[int, str, Any]] = []
    if streams.declared:
        with _RECEIVE:
            reads = list(_queued_reads(instance))
    result = wrapped(*args, **kwargs)
    if not reads:
        return result

    def change(responses: Any) -> Any:
        for place, command, stream in reads:
            if isinstance(responses, list) and place < len(responses):
                responses[place] = streams.taken_out(command, stream, responses[place])
        return responses

    return _then(result, change)


def _queued_reads(pipeline: Any) -> Iterator[tuple[int, str, Any]]:
    """Place, command and stream of the reading commands that stand in a pipeline."""
    holder = getattr(pipeline, "_execution_strategy", pipeline)  # of a cluster, since redis-py 6
    found = (getattr(holder, name, None) for name in _QUEUES)
    queue = next((q for q in found if q), ())
    for place, queued in enumerate(queue):
        args = queued[0] if isinstance(queued, tuple) else queued.args
        command = streams.text(args[0]).upper() if args else ""
        if command in _READS:
            yield place, command, args[1]


def _then(result: Any, change: Callable[[Any], Any]) -> Any:
    """What the command answered, changed; where it is awaited, when it comes."""
    if inspect.isawaitable(result):
        return _later(result, change)
    return _changed(result, change)


async def _later(result: Awaitable[Any], change: Callable[[Any], Any]) -> Any:
    return _changed(await result, change)


def _changed(response: Any, change: Callable[[Any], Any]) -> Any:
    with _RECEIVE:
        return change(response)
    return response


def _see(client: Any, command: str, args: Any) -> None:
    """Remember how the client of a watched stream is connected."""
    if not command or connection.wanted <= connection.seen.keys():
        return
    with _SEE:
        names = args[1:2]
        if command in ("XREAD", "XREADGROUP"):  # ... STREAMS name name id id
            words = [streams.text(word).upper() for word in args]
            names = args[words.index("STREAMS", 1 if command == "XREAD" else 4) + 1 :]
            names = names[: len(names) // 2]
        for name in names:
            connection.see(client, streams.text(name))
