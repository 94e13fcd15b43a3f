"""Database clients, timed without naming a function: by the client's own name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import wrapt

from tradespan.guard import guard
from tradespan.stages.calls import Call

METHODS: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "asyncmy": ("asyncmy.cursors", ("Cursor.execute",)),
    "mysql.connector": ("mysql.connector.cursor", ("MySQLCursor.execute",)),
    "pymysql": ("pymysql.cursors", ("Cursor.execute",)),  # executemany calls it
    "psycopg": ("psycopg", ("Cursor.execute", "AsyncCursor.execute")),
    "sqlalchemy": ("sqlalchemy.engine.base", ("Connection.execute",)),
}
"""Client: the module to hook, and its methods that send a query."""

_HOOK = guard("mapping.client")


def install(client: str, timed: Call, found: Callable[[], None], fired: Callable[[], None]) -> None:
    """Time the queries of a client.

    Arguments:
        client: one of CLIENTS.
        timed: the metric.
        found: is told when the client is there.
        fired: is told each query.
    """
    if client == "sqlite3":
        wrapt.register_post_import_hook(lambda m: _hook_sqlite(m, timed, found, fired), "sqlite3")
        return
    module_name, methods = METHODS[client]

    def hook(module: Any) -> None:
        for method in methods:
            with _HOOK:
                wrapt.wrap_function_wrapper(module, method, _query(timed, fired))
        found()

    wrapt.register_post_import_hook(hook, module_name)


def _query(timed: Call, fired: Callable[[], None]) -> Callable[..., Any]:
    def query(wrapped: Callable[..., Any], _: Any, args: Any, kwargs: Any) -> Any:
        fired()
        one = timed.fresh().__enter__()
        try:
            result = wrapped(*args, **kwargs)
        except BaseException:
            one.end()
            raise
        if hasattr(result, "__await__"):
            return _awaited(one, result)
        one.end()
        return result

    return query


async def _awaited(one: Call, result: Any) -> Any:
    with one:
        return await result


def _hook_sqlite(
    module: Any, timed: Call, found: Callable[[], None], fired: Callable[[], None]
) -> None:
    """Its types are C's and take no wrapper, but connect() takes a factory."""
    factory = _timed_connection(module, timed, fired)

    def connect(wrapped: Callable[..., Any], _: Any, args: Any, kwargs: Any) -> Any:
        if len(args) < 6:
            kwargs.setdefault("factory", factory)
        return wrapped(*args, **kwargs)

    for place in (module, module.dbapi2):
        wrapt.wrap_function_wrapper(place, "connect", connect)
    found()


def _timed_connection(module: Any, timed: Call, fired: Callable[[], None]) -> type:
    class Connection(module.Connection):  # type: ignore[misc]
        """A connection whose queries are timed."""

        def cursor(self, factory: Any = None) -> Any:
            return super().cursor(factory or Cursor)

        def execute(self, *args: Any) -> Any:
            return self.cursor().execute(*args)

        def executemany(self, *args: Any) -> Any:
            return self.cursor().executemany(*args)

        def executescript(self, script: str) -> Any:
            return self.cursor().executescript(script)

    class Cursor(module.Cursor):  # type: ignore[misc]
        """A cursor whose queries are timed."""

        def execute(self, *args: Any) -> Any:
            fired()
            with timed.fresh():
                return super().execute(*args)

        def executemany(self, *args: Any) -> Any:
            fired()
            with timed.fresh():
                return super().executemany(*args)

        def executescript(self, script: str) -> Any:
            fired()
            with timed.fresh():
                return super().executescript(script)

    return Connection
