"""Connections of our own to the service's Redis."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tradespan.handoffs.quiet import masked
from tradespan.settings import ConfigError

_KEPT = ("host", "port", "path", "db", "username", "password", "credential_provider", "protocol")

wanted: set[str] = set()
"""Streams for which the settings of a client are looked for."""

seen: dict[str, Callable[[], Any]] = {}
"""What makes a client like the service's own, by stream."""


def see(client: Any, stream: str) -> None:
    """Remember the settings of the first client that uses a wanted stream."""
    if stream in wanted and stream not in seen:
        settings = _settings(client)
        seen[stream] = lambda: _client(*settings)


def from_url(url: str, connect: float, timeout: float, key: str = "store") -> Any:
    """A client of its own connections; nothing is connected yet.

    Arguments:
        url: redis://, rediss:// or unix://.
        connect: most seconds to connect.
        timeout: most seconds to wait for an answer.
        key: of the setting, for the message.

    Raises:
        ConfigError: not such a URL, or redis-py is not installed.
    """
    try:
        import redis
    except ImportError:
        raise ConfigError(key, masked(url), "install redis-py: pip install redis") from None
    try:
        pool = redis.ConnectionPool.from_url(url, **_limits(connect, timeout))
    except (ValueError, TypeError) as error:
        hint = f"{error}; write it like redis://HOST:6379/0, rediss://... or unix:///FILE"
        raise ConfigError(key, masked(url), hint) from None
    return redis.Redis(connection_pool=pool)


def _settings(client: Any) -> tuple[Any, dict[str, Any]]:
    """Class and settings of a sync connection to where the client is connected."""
    from redis import connection

    pool = client.connection_pool
    kind, given = pool.connection_class, dict(pool.connection_kwargs)
    if kind.__module__ not in ("redis.connection", "redis.asyncio.connection"):
        return kind, given  # a test's double, which knows its server by settings of its own
    kept = {k: v for k, v in given.items() if k in _KEPT or k.startswith("ssl_")}
    if "path" in kept:
        return connection.UnixDomainSocketConnection, kept
    return (connection.SSLConnection if "SSL" in kind.__name__ else connection.Connection), kept


def _client(kind: Any, settings: dict[str, Any]) -> Any:
    import redis

    if not issubclass(kind, redis.connection.AbstractConnection):
        raise TypeError(f"connections of {kind.__module__} cannot be copied: name a url")
    limited = {**settings, **_limits(2.0, 2.0), "decode_responses": False}
    return redis.Redis(connection_pool=redis.ConnectionPool(connection_class=kind, **limited))


def _limits(connect: float, timeout: float) -> dict[str, Any]:
    from redis.backoff import NoBackoff
    from redis.exceptions import ConnectionError as NoConnection
    from redis.retry import Retry

    once_more = Retry(NoBackoff(), 1, (NoConnection,))  # not where nobody answers: that takes time
    return {
        "socket_connect_timeout": connect,
        "socket_timeout": timeout,
        "max_connections": 16,
        "retry": once_more,  # a connection that the server closed meanwhile
    }
