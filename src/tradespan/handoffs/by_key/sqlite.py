"""Journeys by key in a SQLite file, for the services of one host."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tradespan.handoffs.by_key.key import Item, carrier_in
from tradespan.handoffs.quiet import unseen

_READ_S, _WRITE_S = 0.05, 1.0
_PURGE_S = 60.0
_TABLE = """CREATE TABLE IF NOT EXISTS journeys (
    space TEXT NOT NULL, key TEXT NOT NULL, carrier TEXT NOT NULL, expires REAL NOT NULL,
    PRIMARY KEY (space, key))"""
_INDEX = "CREATE INDEX IF NOT EXISTS journeys_expires ON journeys (expires)"


class SqliteStore:
    """Journeys in a SQLite file that several processes of one host share."""

    def __init__(self, file: Path, space: str, ttl: float) -> None:
        self.ttl, self._file, self._space = ttl, file, space
        self.name = f"sqlite:///{file}"
        self._left: list[Any] = []  # a parent's connections: closing them here would harm it
        self._reader: sqlite3.Connection | None = None
        self._writer: sqlite3.Connection | None = None
        self.after_fork()

    def put(self, items: Sequence[Item]) -> None:
        """Keep these, in one transaction, and drop some of what has expired."""
        rows = [(self._space, key, json.dumps(carrier), at) for key, carrier, at in items]
        with self._writing, unseen():
            try:
                self._writer = db = self._writer or self._with_table()
                with db:
                    db.execute("BEGIN IMMEDIATE")
                    db.executemany("INSERT OR REPLACE INTO journeys VALUES (?, ?, ?, ?)", rows)
                    self._purge(db)
            except sqlite3.Error:
                self._close_writer()
                raise

    def get(self, key: str) -> dict[str, str] | None:
        """What is kept under the key; a file that nobody has written to yet has nothing."""
        query = "SELECT carrier FROM journeys WHERE space = ? AND key = ? AND expires > ?"
        with self._reading, unseen():
            try:
                self._reader = db = self._reader or self._connect(_READ_S)
                row = db.execute(query, (self._space, key, time.time())).fetchone()
            except sqlite3.Error as error:
                self._close_reader()
                if _is_passing(error):
                    return None
                raise
        return carrier_in(row[0]) if row else None

    def close(self) -> None:
        """Close the connections."""
        with self._reading, self._writing:
            self._close_reader()
            self._close_writer()

    def after_fork(self) -> None:
        """Connect anew."""
        self._left += [self._reader, self._writer]
        self._reader = self._writer = None
        self._reading, self._writing = threading.Lock(), threading.Lock()
        self._purged = 0.0

    def _connect(self, patience: float) -> sqlite3.Connection:
        return sqlite3.connect(
            self._file, timeout=patience, isolation_level=None, check_same_thread=False
        )

    def _with_table(self) -> sqlite3.Connection:
        db = self._connect(_WRITE_S)
        try:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = NORMAL")
            db.execute(_TABLE)
            db.execute(_INDEX)
        except sqlite3.Error:
            db.close()
            raise
        return db

    def _close_reader(self) -> None:
        if self._reader is not None:
            self._reader.close()
        self._reader = None

    def _close_writer(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self._writer = None

    def _purge(self, db: sqlite3.Connection) -> None:
        now = time.monotonic()
        if self._purged and now - self._purged < _PURGE_S:
            return
        self._purged = now
        expired = "SELECT rowid FROM journeys WHERE expires <= ? LIMIT 5000"
        db.execute(f"DELETE FROM journeys WHERE rowid IN ({expired})", (time.time(),))  # noqa: S608


def _is_passing(error: sqlite3.Error) -> bool:
    """Whether a reader is only too early: no table yet, or a writer is just making it."""
    return isinstance(error, sqlite3.OperationalError) and (
        "no such table" in str(error) or "locked" in str(error)
    )
