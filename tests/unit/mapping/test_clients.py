"""Database clients by name: which of their methods are queries."""

from __future__ import annotations

import importlib
import sqlite3
import sys
from pathlib import Path
from typing import Any

import pytest


def test_scripts_of_sqlite_and_its_other_name(svc: Any, telemetry: Any) -> None:
    """`executescript` is one query, and `sqlite3.dbapi2` the same client."""
    svc.map("calls: {database_query: {client: sqlite3}}")
    connection = sqlite3.dbapi2.connect(":memory:")
    connection.executescript("CREATE TABLE t (a INTEGER); INSERT INTO t VALUES (1);")
    connection.cursor().executescript("DELETE FROM t")
    assert connection.execute("SELECT a FROM t").fetchall() == []
    connection.close()
    assert telemetry.total("database_query_time") == 3


def test_each_query_of_pymysql_counts_once(
    svc: Any, telemetry: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its `executemany` calls `execute` for each row."""
    source = (
        "class Cursor:\n"
        "    def execute(self, query, args=None): return 1\n"
        "    def executemany(self, query, args):\n"
        "        return sum(self.execute(query, one) for one in args)\n"
    )
    for name in ("pymysql", "pymysql.cursors"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    (tmp_path / "pymysql").mkdir()
    (tmp_path / "pymysql" / "__init__.py").write_text("")
    (tmp_path / "pymysql" / "cursors.py").write_text(source)
    svc.map("calls: {database_query: {client: pymysql}}")
    cursors = importlib.import_module("pymysql.cursors")
    assert cursors.Cursor().executemany("INSERT", [1, 2]) == 2
    for name in ("pymysql", "pymysql.cursors"):
        monkeypatch.delitem(sys.modules, name)
    assert telemetry.total("database_query_time") == 2
