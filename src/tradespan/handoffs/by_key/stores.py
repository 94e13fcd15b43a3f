"""Where journeys are kept by key: in Redis, or in a SQLite file for the services of one host."""

from __future__ import annotations

import functools
import json
import math
import os
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol
from weakref import WeakSet

from tradespan.handoffs.by_key.key import Item, carrier_in
from tradespan.handoffs.by_key.sqlite import SqliteStore
from tradespan.handoffs.quiet import masked, unseen
from tradespan.handoffs.redis import connection
from tradespan.settings import ConfigError

_SPACE = re.compile(r"^[A-Za-z0-9_.-]{1,64}\Z")
_HERE = Path()
_READ_S, _CONNECT_S, _WRITE_S = 0.05, 0.25, 1.0


class Store(Protocol):
    """What keeps journeys by key; `put` and `get` raise whatever the store raises.

    Attributes:
        name: its URL, credentials masked.
        ttl: seconds for which a journey is kept.
    """

    name: str
    ttl: float

    def put(self, items: Sequence[Item]) -> None:
        """Keep these; the newest of a key counts."""

    def get(self, key: str) -> dict[str, str] | None:
        """What is kept under the key and has not expired."""

    def close(self) -> None:
        """Close the connections; the next use opens new ones."""

    def after_fork(self) -> None:
        """Let go of the parent's connections, in a child."""


def open_store(url: str, space: str, ttl: float, folder: Path = _HERE) -> Store:
    """The store of a URL; it is connected when it is first used, and may be down until then.

    Arguments:
        url: redis://HOST:6379/0, rediss://..., unix:///SOCKET, or sqlite:///FILE (relative) and
            sqlite:////FILE (absolute) for services of one host.
        space: name of the hand-off, so that several share a store; keys in Redis are
            `tradespan:SPACE:KEY`.
        ttl: seconds for which a journey is kept.
        folder: of which a relative FILE is; the working folder.

    Raises:
        ConfigError: the URL, the name or the time cannot be used.
    """
    if not _SPACE.match(space):
        raise ConfigError("key", space, "at most 64 letters, digits, dots, dashes, underscores")
    if not (math.isfinite(ttl) and ttl >= 0.001):
        raise ConfigError("ttl", ttl, "a time above 0, like 24h")
    scheme = url.partition(":")[0].lower()
    opened: Store
    if scheme in ("redis", "rediss", "unix"):
        opened = RedisStore(url, space, ttl)
    elif scheme == "sqlite":
        opened = SqliteStore(_file(url, folder), space, ttl)
    else:
        hint = "redis://HOST:6379/0, or sqlite:///FILE when all services are on one host"
        raise ConfigError("store", masked(url), hint)
    _stand_up_after_fork()
    _stores.add(opened)
    return opened


class RedisStore:
    """Journeys in Redis, one key each, that Redis itself forgets in time.

    Raises:
        ConfigError: not such a URL, or redis-py is not installed.
    """

    def __init__(self, url: str, space: str, ttl: float) -> None:
        self.ttl, self._url, self._prefix = ttl, url, f"tradespan:{space}:"
        self.name = masked(url)
        self.after_fork()

    def put(self, items: Sequence[Item]) -> None:
        """Keep these."""
        now = time.time()
        with unseen():
            pipe = self._writer.pipeline(transaction=False)
            for key, carrier, expires in items:
                left_ms = int((expires - now) * 1000)
                if left_ms > 0:
                    pipe.set(self._prefix + key, json.dumps(carrier), px=left_ms)
            pipe.execute()

    def get(self, key: str) -> dict[str, str] | None:
        """What is kept under the key."""
        with unseen():
            return carrier_in(self._reader.get(self._prefix + key))

    def close(self) -> None:
        """Close the connections."""
        for client in (self._reader, self._writer):
            client.connection_pool.disconnect()

    def after_fork(self) -> None:
        """Connect anew."""
        self._reader: Any = connection.from_url(self._url, _CONNECT_S, _READ_S)
        self._writer: Any = connection.from_url(self._url, _WRITE_S, _WRITE_S)


def _file(url: str, folder: Path) -> Path:
    """The file of a SQLite URL, wherever the service goes later.

    Raises:
        ConfigError: no file, or none that can be there.
    """
    path = url[len("sqlite:///") :] if url.lower().startswith("sqlite:///") else ""
    if not path or path == ":memory:" or "?" in path or "\0" in path:
        raise ConfigError("store", url, "a file that all services see: sqlite:////var/lib/ts.db")
    file = (folder / path).absolute()
    if file.is_dir() or not file.parent.is_dir():
        raise ConfigError("store", url, f"{file.parent} must be a folder, and FILE not")
    return file


_stores: WeakSet[Store] = WeakSet()


@functools.cache
def _stand_up_after_fork() -> None:
    os.register_at_fork(after_in_child=_after_fork)


def _after_fork() -> None:
    for store in list(_stores):
        store.after_fork()
