"""A loop that polls and finds nothing leaves no trace.

Clients of queues and databases get a tracer that starts a span only inside another one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from opentelemetry import trace
from opentelemetry.trace import Span, Tracer, TracerProvider

POLLING = frozenset(
    {
        "aiopg", "asyncpg", "dbapi", "mysql", "mysqlclient", "psycopg", "psycopg2", "pymongo",
        "pymysql", "redis", "sqlalchemy", "sqlite3",
    }
)  # fmt: skip
"""Names of the instrumentors whose spans mean nothing by themselves."""


class InsideOnly(TracerProvider):
    """A provider whose tracers start a span only where one is going on.

    Arguments:
        provider: the one that makes them.
    """

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider

    def get_tracer(self, *args: Any, **kwargs: Any) -> Tracer:
        """The provider's tracer, held back outside spans."""
        return _InsideOnlyTracer(self._provider.get_tracer(*args, **kwargs))


class _InsideOnlyTracer(Tracer):
    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    def start_span(self, name: str, context: Any = None, *args: Any, **kwargs: Any) -> Span:
        if not trace.get_current_span(context).is_recording():
            return trace.INVALID_SPAN
        return self._tracer.start_span(name, context, *args, **kwargs)

    @contextmanager
    def start_as_current_span(  # type: ignore[override]
        self, name: str, context: Any = None, *args: Any, **kwargs: Any
    ) -> Iterator[Span]:
        if not trace.get_current_span(context).is_recording():
            yield trace.INVALID_SPAN
            return
        with self._tracer.start_as_current_span(name, context, *args, **kwargs) as span:
            yield span
