"""The same desk over a day of history, in a plain script with the catalogue's names.

For example: MODEL_URL=http://127.0.0.1:8090 opentelemetry-instrument python backtest.py --every 8

It prints what it earned as JSON. With PORT in the environment it serves /metrics and /health there,
and stays until it is told to stop, so that they can be looked at.
"""

import argparse
import json
import os
import signal
import sqlite3
import sys
import time
from collections.abc import Callable
from typing import Any

import constitution
import httpx
import redis
from analysts import ANALYSTS, Analyst, Opinion, decide, opinion, question
from book import Book
from features import FRESH
from indicators import INDICATORS, WINDOW
from market import TICKERS, history

from tradespan import compat

MODEL_URL = os.environ.get("MODEL_URL", "http://127.0.0.1:8090")
REDIS_URL = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0")
CLOSES = "SELECT close FROM bars WHERE ticker = ? AND minute <= ? ORDER BY minute DESC LIMIT ?"


class Backtest:
    """The desk's agents and rules, without a service around them."""

    def __init__(self) -> None:
        self.prices, self.book, self.switch = history(), Book(), constitution.KillSwitch()
        self.model = httpx.Client(base_url=MODEL_URL, timeout=10.0)
        self.redis = redis.Redis.from_url(REDIS_URL, socket_timeout=1.0, protocol=2)
        self.database = sqlite3.connect(":memory:")
        self.database.execute("CREATE TABLE bars (ticker TEXT, minute INTEGER, close REAL)")
        for ticker, closes in self.prices.items():
            rows = [(ticker, minute, close) for minute, close in enumerate(closes)]
            self.database.executemany("INSERT INTO bars VALUES (?, ?, ?)", rows)
        self.features: dict[tuple[str, str, int], float] = {}
        self.hits = self.misses = 0
        self.began, self.peak, self.fallen = time.monotonic(), 0.0, 0.0

    def run(self, minutes: int, every: int) -> dict[str, Any]:
        """Decide on every ticker each so many minutes; what came of it."""
        now: dict[str, float] = {}
        for minute in range(WINDOW, min(minutes, len(self.prices[TICKERS[0]]))):
            now = {ticker: closes[minute] for ticker, closes in self.prices.items()}
            self.value_the_book(minute, now)
            if minute % every == 0:
                for ticker in TICKERS:
                    self.consider(ticker, minute, now)
                self.look_around()
        return {**self.book.summary(now), "fills": self.book.fills, "drawdown_pct": self.fallen}

    def value_the_book(self, minute: int, now: dict[str, float]) -> None:
        """What the book is worth; too deep a fall halts trading for a while."""
        book = self.book.summary(now)
        self.peak = max(self.peak, book["total_value"])
        fallen = (book["total_value"] / self.peak - 1) * 100
        self.fallen = min(self.fallen, fallen)
        compat.update_portfolio_metrics(
            total_value=book["total_value"],
            cash=book["cash"],
            num_positions=book["positions"],
            daily_pnl=book["daily_pnl"],
            total_return_pct=book["total_return_pct"],
            max_drawdown_pct=self.fallen,
        )
        if not self.switch.active and fallen <= -constitution.MAX_DRAWDOWN_PCT:
            self.switch.halt("drawdown", minute)
        elif self.switch.has_cooled_down(minute):
            self.switch.release(minute)
            self.peak = book["total_value"]
        compat.KILL_SWITCH_STATUS.set(self.switch.active)

    def consider(self, ticker: str, minute: int, now: dict[str, float]) -> None:
        """Ask the agents, decide, and trade if every rule allows it."""
        asked = [self.ask(who, ticker, minute, now[ticker]) for who in ANALYSTS]
        opinions = [found for found in asked if found is not None]
        action, conviction = decide(opinions, self.book.held(ticker))
        compat.AGENT_CONVICTION_SCORE.observe(conviction)
        compat.AGENT_DECISIONS_TOTAL.labels(ticker=ticker, action=action).inc()
        if action == "hold":
            return
        order = self.book.order(ticker, action, conviction, now[ticker])
        kept = constitution.judge(order, self.book, now)
        for rule, passed in kept.items():
            compat.track_constitution_check(rule, passed=passed)
        if all(kept.values()) and not self.switch.active:
            compat.track_trade(ticker, action, order.quantity, self.book.fill(order))

    def ask(self, who: Analyst, ticker: str, minute: int, price: float) -> Opinion | None:
        """One agent's opinion; None where its model gives none."""
        figures = {name: self.feature(ticker, name, minute) for name in who.figures}
        try:
            with compat.track_ai_request(who.model) as request:
                body = question(who, ticker, price, figures)
                answer = self.model.post(who.path, json=body).raise_for_status().json()
                request.usage(answer)
            found = opinion(who, answer)
        except (httpx.HTTPError, KeyError, TypeError, ValueError) as error:
            print(f"{who.name} has no opinion on {ticker}: {error!r}", file=sys.stderr)
            return None
        compat.AGENT_ANALYSES_TOTAL.inc()
        return found

    def feature(self, ticker: str, name: str, minute: int) -> float:
        """A feature; calculated anew when it is no longer fresh."""
        key = (ticker, name, minute // FRESH)
        if key in self.features:
            self.hits += 1
            compat.CACHE_HITS_TOTAL.labels(layer="L1_Memory").inc()
            return self.features[key]
        self.misses += 1
        compat.CACHE_MISSES_TOTAL.inc()
        with compat.FEATURE_STORE_QUERY_LATENCY_SECONDS.time():
            rows = self.database.execute(CLOSES, (ticker, minute, WINDOW)).fetchall()
        with compat.track_feature_calculation(name):
            self.features[key] = INDICATORS[name]([close for (close,) in reversed(rows)])
        return self.features[key]

    def look_around(self) -> None:
        """How the cache does, and who is there."""
        compat.update_cache_metrics(self.hits, self.misses)
        compat.update_system_health(
            uptime_seconds=time.monotonic() - self.began,
            timescale_connected=self.answers(lambda: self.database.execute("SELECT 1")),
            redis_connected=self.answers(self.redis.ping),
            kill_switch_active=self.switch.active,
        )

    def answers(self, question: Callable[[], object]) -> bool:
        """Whether somebody answers a question now."""
        try:
            question()
        except (sqlite3.Error, redis.RedisError):
            return False
        return True


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=int, default=240, help="of the day")
    parser.add_argument("--every", type=int, default=4, help="minutes between two decisions")
    args = parser.parse_args()
    port = os.environ.get("PORT")
    if port:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        compat.start_monitoring_server(port=int(port))
    print(json.dumps(Backtest().run(args.minutes, args.every)), flush=True)
    while port:
        time.sleep(3600)


if __name__ == "__main__":
    main()
