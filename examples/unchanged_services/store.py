"""Signals and recommendations as rows, in SQLite or PostgreSQL: they say nothing of a trace."""

import os

from database import Database, Row

__all__ = ["Database", "Row", "connect"]


def connect() -> Database:
    """The database that DATABASE_URL names; by default a file in the working folder."""
    return Database(os.environ.get("DATABASE_URL", "sqlite:///pipeline.sqlite"), journey=())
