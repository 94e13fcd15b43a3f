"""A loop that polls and finds nothing leaves no trace."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry import context, trace
from opentelemetry.context import Context
from opentelemetry.instrumentation.redis import RedisInstrumentor

import tradespan
from tradespan.export.polls import POLLING, InsideOnly


@pytest.fixture
def tracer(telemetry: Any) -> trace.Tracer:
    """A tracer of a queue client."""
    return InsideOnly(trace.get_tracer_provider()).get_tracer("redis", "1", "https://x/schema")


def test_nothing_outside_a_span(telemetry: Any, tracer: trace.Tracer) -> None:
    """Outside any span commands start none, by whichever way."""
    with tracer.start_as_current_span("XREADGROUP") as span:
        span.set_attribute("a", 1)
        assert not span.is_recording()
        assert not trace.get_current_span().get_span_context().is_valid
    tracer.start_span("GET").end()
    assert telemetry.spans == []


def test_all_inside_a_stage(telemetry: Any, tracer: trace.Tracer) -> None:
    """Inside a stage every command is its child, with kind and attributes."""
    with tradespan.risk():
        with tracer.start_as_current_span("SET", kind=trace.SpanKind.CLIENT, attributes={"a": 1}):
            assert trace.get_current_span().is_recording()
        tracer.start_span("GET", attributes={"b": 2}).end()
    stage = telemetry.span("risk")
    for name in ("SET", "GET"):
        assert telemetry.span(name).parent.span_id == stage.context.span_id
    assert telemetry.span("SET").kind is trace.SpanKind.CLIENT
    assert telemetry.span("SET").attributes["a"] == 1


def test_a_given_context_decides(telemetry: Any, tracer: trace.Tracer) -> None:
    """The context that the caller hands over counts, not the current one."""
    with tradespan.risk():
        ctx = context.get_current()
        tracer.start_span("outside", Context()).end()
    with tradespan.stage("ended"):
        pass
    assert [s.name for s in telemetry.spans] == ["risk", "ended"]
    tracer.start_span("after-its-end", ctx).end()
    assert "after-its-end" not in [s.name for s in telemetry.spans]


def test_exceptions_pass(telemetry: Any, tracer: trace.Tracer) -> None:
    """An error of the client goes on untouched, inside and outside."""
    error = ConnectionError("refused")
    with pytest.raises(ConnectionError) as outside, tracer.start_as_current_span("GET"):
        raise error
    with tradespan.stage("x"):
        with pytest.raises(ConnectionError) as inside, tracer.start_as_current_span("GET"):
            raise error
    assert outside.value is inside.value is error
    assert telemetry.span("GET").status.status_code is trace.StatusCode.ERROR


def test_the_names_are_those_of_instrumentors() -> None:
    """Redis and the database clients are held back, HTTP clients are not."""
    assert {"redis", "sqlite3", "psycopg", "dbapi"} <= POLLING
    assert not {"httpx", "requests", "fastapi", "aiohttp-client"} & POLLING


def test_the_redis_instrumentor_obeys(telemetry: Any) -> None:
    """The real instrumentor with this provider traces inside a stage only."""
    fakeredis = pytest.importorskip("fakeredis")
    provider = InsideOnly(trace.get_tracer_provider())
    RedisInstrumentor().instrument(tracer_provider=provider)
    try:
        client = fakeredis.FakeRedis()
        client.get("a")
        assert telemetry.spans == []
        with tradespan.stage("work"):
            client.set("a", "1")
    finally:
        RedisInstrumentor().uninstrument()
    assert "work" in [s.name for s in telemetry.spans]
