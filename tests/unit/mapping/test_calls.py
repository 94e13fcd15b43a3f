"""Calls, values and counts; clients of databases."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tradespan.mapping import notes


@pytest.mark.parametrize(
    ("name", "metric"),
    [
        ("model_inference", "model_inference_time"),
        ("database_query", "database_query_time"),
        ("llm", "ollama_api_latency"),
        ("exchange", "coinbase_api_response_time"),
        ("orchestrator_cycle", "orchestrator_cycle_duration"),
    ],
)
def test_a_call_is_timed_into_its_metric(svc: Any, telemetry: Any, name: str, metric: str) -> None:
    """Whether it succeeds or fails; it makes no span."""
    module = svc.map(
        f"calls: {{{name}: 'mod:work'}}",
        "def work(fails):\n    if fails: raise ValueError\n    return 1\n",
    )
    assert module.work(False) == 1
    with pytest.raises(ValueError):
        module.work(True)
    assert telemetry.total(metric) == 2
    assert not telemetry.spans


def test_calls_take_a_list_and_every_kind_of_function(svc: Any, telemetry: Any) -> None:
    """Sync, async, generators: each call is one."""
    module = svc.map(
        "calls: {model_inference: ['mod:a', 'mod:b', 'mod:c']}",
        "def a(): ...\nasync def b(): ...\ndef c(): yield 1\n",
    )
    module.a()
    asyncio.run(module.b())
    assert list(module.c()) == [1]
    assert telemetry.total("model_inference_time") == 3


@pytest.mark.parametrize(
    ("path", "result", "value"),
    [
        ("result", 3, 3),
        ("result.length", [1, 2], 2),
        ("result", True, 1),
        ("result", False, 0),
        ("result", None, 0),
        ("result.depth", {"depth": "7"}, 7),
        ("args.limit", 0, 9),
        ("result.depth", {}, None),
        ("result", "many", None),
        ("result", [1], None),
    ],
)
def test_a_gauge_from_a_result_or_argument(
    svc: Any, telemetry: Any, path: str, result: Any, value: float | None
) -> None:
    """Booleans and nothing count as 1 and 0; what is no number is left out, and said."""
    module = svc.map(
        f"values: {{pending_recommendations: {{after: 'mod:work', set: {path}}}}}",
        "def work(result, limit=9): return result\n",
    )
    assert module.work(result, limit=9) == result
    assert telemetry.last("pending_recommendations") == value
    assert len(notes.said()) == (1 if result in ("many", [1]) else 0)


def test_a_failed_call_says_what_is_known_of_its_gauges(svc: Any, telemetry: Any) -> None:
    """A status is 0 then; how much there is of something stays as it was last known."""
    module = svc.map(
        """
        values:
          model_load_status: {after: "mod:work", set: result}
          pending_recommendations: {after: "mod:work", set: result}
        """,
        "def work(result):\n    if not result: raise OSError\n    return result\n",
    )
    module.work(1)
    assert telemetry.last("model_load_status") == telemetry.last("pending_recommendations") == 1
    with pytest.raises(OSError):
        module.work(0)
    assert telemetry.last("model_load_status") == 0
    assert telemetry.last("pending_recommendations") == 1


def test_a_count_of_exceptions(svc: Any, telemetry: Any) -> None:
    """Each that is made is one, with the symbol of the stage around it."""
    module = svc.map(
        """
        stages: {execution: {run: "mod:work", set: {symbol: args.symbol}}}
        counts: {order_precision_errors: {raises: "mod:PrecisionError"}}
        """,
        """
        class PrecisionError(ValueError):
            def __init__(self, what): super().__init__(what); self.what = what
        class Other(ValueError): ...
        def work(symbol):
            try: raise PrecisionError("8 digits")
            except PrecisionError as error: return error.what
        """,
    )
    assert module.work("BTC-USD") == "8 digits"
    assert telemetry.total("order_precision_errors", symbol="BTC-USD") == 1
    module.Other("x")
    assert telemetry.total("order_precision_errors") == 1


def test_a_count_of_an_exception_without_init_of_its_own(svc: Any, telemetry: Any) -> None:
    """The usual one-line exception counts too, and its base does not."""
    module = svc.map(
        "counts: {order_precision_errors: {raises: 'mod:PrecisionError', set: {symbol: args.0}}}",
        "class PrecisionError(ValueError): ...\n",
    )
    assert str(module.PrecisionError("BTC-USD")) == "BTC-USD"
    ValueError("BTC-USD")
    assert telemetry.total("order_precision_errors", symbol="BTC-USD") == 1


@pytest.mark.parametrize(("result", "counted"), [(False, 1), (True, 0), (None, 0)])
def test_a_count_by_rule(svc: Any, telemetry: Any, result: Any, counted: int) -> None:
    """One for each call after which a rule holds."""
    module = svc.map(
        """
        counts:
          balance_check_failures:
            {after: "mod:work", when: [result is false, error], set: {symbol: args.symbol}}
        """,
        "def work(symbol, result): return result\n",
    )
    module.work("BTC-USD", result)
    assert telemetry.total("balance_check_failures", symbol="BTC-USD") == counted
    with pytest.raises(TypeError):
        module.work()


def test_a_count_by_rule_on_a_result_that_never_came(svc: Any, telemetry: Any) -> None:
    """An exception is counted where the rules say `error`, and nowhere else."""
    module = svc.map(
        """
        counts:
          balance_check_failures: {after: ["mod:work"], when: [result is none, result is false]}
          order_precision_errors: {after: ["mod:work"], when: error}
        """,
        "def work(result): return 1 // result\n",
    )
    with pytest.raises(ZeroDivisionError):
        module.work(0)
    assert not telemetry.total("balance_check_failures")
    assert telemetry.total("order_precision_errors") == 1


def test_sqlite_without_a_function_name(svc: Any, telemetry: Any) -> None:
    """Every query of every connection, by cursor or by the connection itself; results as before."""
    svc.map("calls: {database_query: {client: sqlite3}}")
    with sqlite3.connect(":memory:") as connection:
        connection.execute("CREATE TABLE t (a INTEGER)")
        connection.executemany("INSERT INTO t VALUES (?)", [(1,), (2,)])
        cursor = connection.cursor()
        assert cursor.execute("SELECT a FROM t").fetchall() == [(1,), (2,)]
        with pytest.raises(sqlite3.OperationalError):
            cursor.execute("SELECT nothing")
    connection.close()
    assert telemetry.total("database_query_time") == 4
    assert svc.why("sqlite3") == "wrapped: "
    assert svc.record.entries[0].fired == 4


def test_a_connection_class_of_the_service_is_kept(svc: Any) -> None:
    """`factory=` is the service's word."""

    class Own(sqlite3.Connection): ...

    svc.map("calls: {database_query: {client: sqlite3}}")
    for connection in (
        sqlite3.connect(":memory:", factory=Own),
        sqlite3.connect(":memory:", 5.0, 0, "", True, Own),
    ):
        assert type(connection) is Own
        connection.close()


def test_psycopg_without_a_function_name(
    svc: Any, telemetry: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sync and async cursors; each execute is one query, timed to its end."""

    def execute(self: Any, query: str) -> str:
        return f"ran {query}"

    async def aexecute(self: Any, query: str) -> str:
        await asyncio.sleep(0)
        return f"ran {query}"

    monkeypatch.setattr(psycopg.Cursor, "execute", execute)
    monkeypatch.setattr(psycopg.AsyncCursor, "execute", aexecute)
    svc.map("calls: {database_query: {client: psycopg}}")
    assert psycopg.Cursor.execute(None, "SELECT 1") == "ran SELECT 1"
    assert asyncio.run(psycopg.AsyncCursor.execute(None, "SELECT 1")) == "ran SELECT 1"
    assert telemetry.total("database_query_time") == 2


def test_a_client_that_is_not_installed_waits(svc: Any) -> None:
    """Nothing is imported for the mapping's sake."""
    svc.map("calls: {database_query: {client: asyncmy}}")
    assert svc.why("asyncmy").startswith("waiting")


@pytest.mark.parametrize("key", ["Kind.A", "b'7'", "7"])
def test_a_key_is_asked_for_as_it_was_sent(
    svc: Any, telemetry: Any, tmp_path: Path, key: str
) -> None:
    """A member of an Enum too: both sides take it as it is."""
    module = svc.file(
        f"""
        version: 1
        handoffs: {{rows: {{key: rows, store: 'sqlite:///{tmp_path}/rows.sqlite', retry: 2s}}}}
        services:
          svc:
            stages:
              signal: {{run: "mod:save"}}
              execution: {{run: "mod:take", receive: {{rows: args.key}}}}
            send: {{rows: {{after: "mod:write", key: result}}}}
        """,
        f"""
        import enum
        class Kind(enum.Enum):
            A = "a"
        KEY = {key}
        def write(): return KEY
        def save(): write()
        def take(key): ...
        """,
    )
    module.save()
    module.take(module.KEY)
    assert telemetry.span("execution").context.trace_id == telemetry.span("signal").context.trace_id
