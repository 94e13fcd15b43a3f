"""Signals and recommendations as rows: SQLite by default, PostgreSQL where DATABASE_URL says so.

A recommendation carries its journey in two text columns, `traceparent` and `baggage`, unless the
database is opened without them.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Row = dict[str, Any]

JOURNEY = ("traceparent", "baggage")

SCHEMA = (
    """CREATE TABLE IF NOT EXISTS signals (
        signal_id TEXT PRIMARY KEY, bar_closed_at DOUBLE PRECISION NOT NULL,
        signal_type TEXT NOT NULL, confidence DOUBLE PRECISION NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS recommendations (
        id {serial}, signal_id TEXT NOT NULL UNIQUE, symbol TEXT NOT NULL, side TEXT NOT NULL,
        quantity DOUBLE PRECISION NOT NULL, price DOUBLE PRECISION NOT NULL,
        status TEXT NOT NULL DEFAULT 'pending', attempts INTEGER NOT NULL DEFAULT 0,
        reason TEXT, order_id TEXT, fill_price DOUBLE PRECISION{journey})""",
    "CREATE INDEX IF NOT EXISTS recommendations_status ON recommendations (status, id)",
)


class Database:
    """One connection, for one thread; `journey` names the columns that carry the journey."""

    def __init__(self, url: str, journey: Sequence[str] = JOURNEY) -> None:
        self._postgres = url.startswith(("postgresql://", "postgres://"))
        self._connection: Any = _postgres(url) if self._postgres else _sqlite(url)
        serial = "SERIAL PRIMARY KEY" if self._postgres else "INTEGER PRIMARY KEY"
        columns = "".join(f", {name} TEXT NOT NULL" for name in journey)
        for statement in SCHEMA:
            self._run(statement.format(serial=serial, journey=columns))

    def save_signal(
        self, signal_id: str, bar_closed_at: float, signal_type: str, confidence: float
    ) -> None:
        """Keep an evaluation of the model, the holds too."""
        self._run(
            "INSERT INTO signals (signal_id, bar_closed_at, signal_type, confidence)"
            " VALUES (%s, %s, %s, %s)",
            (signal_id, bar_closed_at, signal_type, confidence),
        )

    def recommend(self, values: Mapping[str, Any]) -> int | None:
        """Add an approved trade, once for each signal; its number, or None if it was there."""
        columns = ", ".join(values)
        marks = ", ".join(["%s"] * len(values))
        rows = self._run(
            f"INSERT INTO recommendations ({columns}) VALUES ({marks})"
            " ON CONFLICT (signal_id) DO NOTHING RETURNING id",
            tuple(values.values()),
        )
        return int(rows[0]["id"]) if rows else None

    def waiting(self) -> int:
        """How many recommendations are pending."""
        rows = self._run("SELECT count(*) AS n FROM recommendations WHERE status = 'pending'")
        return int(rows[0]["n"])

    def claim(self, limit: int) -> list[Row]:
        """Take the oldest pending recommendations; no other executor gets them."""
        skip = "FOR UPDATE SKIP LOCKED" if self._postgres else ""
        rows = self._run(
            "UPDATE recommendations SET status = 'executing', attempts = attempts + 1"
            " WHERE id IN (SELECT id FROM recommendations WHERE status = 'pending'"
            f" ORDER BY id LIMIT %s {skip}) RETURNING *",
            (limit,),
        )
        return sorted(rows, key=lambda row: int(row["id"]))

    def release(self) -> int:
        """Give back what an executor that died had claimed; the number of rows."""
        return len(
            self._run(
                "UPDATE recommendations SET status = 'pending' WHERE status = 'executing'"
                " RETURNING id"
            )
        )

    def finish(
        self,
        number: int,
        status: str,
        reason: str | None = None,
        order_id: str | None = None,
        fill_price: float | None = None,
    ) -> None:
        """Write what became of a recommendation: filled, rejected, or pending again."""
        self._run(
            "UPDATE recommendations SET status = %s, reason = %s, order_id = %s, fill_price = %s"
            " WHERE id = %s",
            (status, reason, order_id, fill_price, number),
        )

    def counts(self) -> dict[str, int]:
        """Recommendations by status."""
        rows = self._run("SELECT status, count(*) AS n FROM recommendations GROUP BY status")
        return {row["status"]: row["n"] for row in rows}

    def signals(self) -> dict[str, int]:
        """Evaluations of the model by type of signal."""
        rows = self._run("SELECT signal_type, count(*) AS n FROM signals GROUP BY signal_type")
        return {row["signal_type"]: row["n"] for row in rows}

    def close(self) -> None:
        self._connection.close()

    def _run(self, statement: str, values: tuple[Any, ...] = ()) -> list[Row]:
        if not self._postgres:
            statement = statement.replace("%s", "?")
        cursor = self._connection.execute(statement, values)
        return [dict(row) for row in cursor.fetchall()] if cursor.description else []


def from_environment() -> Database:
    """The database that DATABASE_URL names; by default a file in the working folder."""
    return Database(os.environ.get("DATABASE_URL", "sqlite:///pipeline.sqlite"))


def _sqlite(url: str) -> sqlite3.Connection:
    if not url.startswith("sqlite:///"):
        raise ValueError(f"DATABASE_URL={url!r}: give sqlite:///FILE or postgresql://...")
    file = Path(url.removeprefix("sqlite:///"))
    connection = sqlite3.connect(file, timeout=10.0, isolation_level=None, check_same_thread=False)
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    return connection


def _postgres(url: str) -> Any:
    try:
        import psycopg
        from psycopg.rows import dict_row
    except ImportError:
        hint = "hint: pip install 'psycopg[binary]'"
        raise RuntimeError(f"PostgreSQL needs psycopg\n{hint}") from None
    try:
        return psycopg.connect(url, autocommit=True, row_factory=dict_row, connect_timeout=5)
    except psycopg.OperationalError as error:
        raise RuntimeError(f"the database does not answer: {error}") from None
