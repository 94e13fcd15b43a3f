"""The feature store: bars and features in a database, two caches before it.

The database is SQLite in the place of TimescaleDB: the same questions, asked of one file. L1 is a
small memory of this process, L2 is Redis; a Redis that does not answer is a cache without anything
in it.
"""

import logging
import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path

import redis
from indicators import INDICATORS, WINDOW

from tradespan.recorders import features

log = logging.getLogger("features")

L1, L2 = "L1_Memory", "L2_Redis"
REMEMBERED = 8  # features in L1; the least recently used go first
FRESH = 12  # minutes of the market that a feature holds
KEPT = 5 * WINDOW  # minutes of bars in the database


class FeatureStore:
    """Features by ticker and name; for one thread at a time."""

    def __init__(self, folder: Path, redis_url: str) -> None:
        self._database = sqlite3.connect(folder / "features.sqlite", check_same_thread=False)
        with self._database as database:
            database.execute(
                "CREATE TABLE IF NOT EXISTS bars "
                "(minute INTEGER, ticker TEXT, close REAL, PRIMARY KEY (ticker, minute))"
            )
        self._redis = redis.Redis.from_url(redis_url, socket_timeout=1.0, protocol=2)
        self._memory: OrderedDict[str, float] = OrderedDict()
        self._lock = threading.Lock()
        self.hits = {L1: 0, L2: 0}
        self.misses = 0

    def append(self, minute: int, prices: Mapping[str, float]) -> None:
        """Take in the bars of a minute."""
        rows = [(minute, ticker, price) for ticker, price in prices.items()]
        with self._lock, self._database as database:
            database.executemany("INSERT OR REPLACE INTO bars VALUES (?, ?, ?)", rows)
            database.execute("DELETE FROM bars WHERE minute <= ?", (minute - KEPT,))

    def get(self, ticker: str, name: str, minute: int) -> float:
        """A feature, from the nearest place that has it."""
        key = f"features:{ticker}:{name}:{minute // FRESH}"
        if key in self._memory:
            return self._found(L1, key, self._memory[key])
        cached = self._cached(key)
        if cached is not None:
            return self._found(L2, key, cached)
        self.misses += 1
        features.miss()
        closes = self._closes(ticker)
        with features.calculation():
            value = INDICATORS[name](closes)
        self._remember(key, value)
        self._cache(key, value)
        return value

    def tell_hit_rate(self) -> None:
        """Report the share that was found in a cache so far."""
        features.hit_rate(sum(self.hits.values()), self.misses)

    def database_answers(self) -> bool:
        """Whether the database answers a question now."""
        try:
            with self._lock:
                self._database.execute("SELECT count(*) FROM bars").fetchone()
        except sqlite3.Error as error:
            log.warning("the database does not answer: %s", error)
            return False
        return True

    def redis_answers(self) -> bool:
        """Whether Redis answers a question now."""
        try:
            return bool(self._redis.ping())
        except redis.RedisError as error:
            log.warning("Redis does not answer: %s", error)
            return False

    def _closes(self, ticker: str) -> list[float]:
        question = "SELECT close FROM bars WHERE ticker = ? ORDER BY minute DESC LIMIT ?"
        with features.query(), self._lock:
            rows = self._database.execute(question, (ticker, WINDOW)).fetchall()
        return [close for (close,) in reversed(rows)]

    def _found(self, layer: str, key: str, value: float) -> float:
        self.hits[layer] += 1
        features.hit(layer)
        self._remember(key, value)
        return value

    def _remember(self, key: str, value: float) -> None:
        self._memory[key] = value
        self._memory.move_to_end(key)
        if len(self._memory) > REMEMBERED:
            self._memory.popitem(last=False)

    def _cached(self, key: str) -> float | None:
        try:
            found = self._redis.get(key)
        except redis.RedisError:
            return None
        return float(found) if isinstance(found, bytes) else None

    def _cache(self, key: str, value: float) -> None:
        try:
            self._redis.set(key, value, ex=300)
        except redis.RedisError:
            log.debug("not cached: %s", key)
