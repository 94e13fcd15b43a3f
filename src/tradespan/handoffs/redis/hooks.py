"""Where redis-py is held: its stream commands, and the moment a pipeline's answers come back.

Both are public, the same for sync and async clients, and stand in every redis-py since 5.
"""

from __future__ import annotations

import importlib
import inspect
import logging
import os
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import wrapt

from tradespan.guard import guard
from tradespan.handoffs.redis import connection, streams

log = logging.getLogger("tradespan")

_SEND = guard("redis.send")
_RECEIVE = guard("redis.receive")
_SEE = guard("redis.client")
_READS = {
    "xread": "XREAD", "xreadgroup": "XREADGROUP", "xrange": "XRANGE", "xrevrange": "XREVRANGE",
    "xclaim": "XCLAIM", "xautoclaim": "XAUTOCLAIM",
}  # fmt: skip
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
    missing = [*_hook_commands(), *_hook_pipelines()]
    if missing:
        log.warning(
            "redis %s has no %s: the journeys of declared streams may not pass there",
            getattr(module, "__version__", "of this version"),
            ", ".join(missing),
        )


def _hook_commands() -> Iterator[str]:
    """Wrap the stream commands; gives the names of those that are missing."""
    try:
        core = importlib.import_module("redis.commands.core")
    except ImportError:
        core = None
    names = ("StreamCommands", "AsyncStreamCommands")
    classes = {id(c): c for c in (getattr(core, n, None) for n in names) if c is not None}
    if not classes:
        yield "redis.commands.core.StreamCommands"
    for owner in classes.values():
        for method in ("xadd", *_READS):
            try:
                wrapper = _xadd if method == "xadd" else _reading(_READS[method])
                wrapt.wrap_function_wrapper(owner, method, wrapper)
            except AttributeError:
                yield f"{owner.__name__}.{method}"


def _hook_pipelines() -> Iterator[str]:
    """Wrap `execute` of each kind of pipeline; gives the names of those that are missing."""
    for module, name in _PIPELINES:
        try:
            wrapt.wrap_function_wrapper(module, f"{name}.execute", _execute)
        except (AttributeError, ImportError):
            yield f"{module}.{name}.execute"


def _xadd(wrapped: Callable[..., Any], instance: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    if not streams.declared:
        return wrapped(*args, **kwargs)
    with _SEND:
        stream = args[0] if args else kwargs.get("name")
        _see(instance, stream)
        if len(args) > 1:
            args = (stream, streams.to_send(stream, args[1]), *args[2:])
        elif "fields" in kwargs:
            kwargs = {**kwargs, "fields": streams.to_send(stream, kwargs["fields"])}
    return wrapped(*args, **kwargs)


def _reading(command: str) -> Callable[..., Any]:
    """The wrapper of a command that answers with entries."""
    names = {"XREAD": ("streams", 0), "XREADGROUP": ("streams", 2)}.get(command, ("name", 0))

    def read(wrapped: Callable[..., Any], instance: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        result = wrapped(*args, **kwargs)
        if not streams.declared:
            return result
        stream: Any = None
        with _SEE:
            keyword, place = names
            stream = kwargs[keyword] if keyword in kwargs else args[place]
            for name in stream if isinstance(stream, dict) else (stream,):
                _see(instance, name)
        if result is instance:  # a pipeline, which answers later
            return result
        return _then(result, lambda response: streams.taken_out(command, stream, response))

    return read


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
        if command in _READS.values():
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


def _see(client: Any, stream: Any) -> None:
    """Remember how the client of a watched stream is connected."""
    if connection.wanted:
        with _SEE:
            connection.see(client, streams.text(stream))
