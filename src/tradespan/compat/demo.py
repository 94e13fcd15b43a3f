"""A small desk that uses every helper and every metric object, for a look at /metrics."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Iterator

from tradespan import compat


def desk() -> Iterator[None]:
    """One step of the desk with each `next`, without end."""
    began, peak = time.monotonic(), 0.0
    turns = zip(
        itertools.count(), itertools.cycle(("AAPL", "MSFT", "NVDA")),
        itertools.cycle(("BUY", "HOLD", "SELL", "HOLD")),
    )  # fmt: skip
    for turn, ticker, action in turns:
        value = 100_000 + 4_000 * math.sin(turn / 7) + 20 * turn
        peak = max(peak, value)
        _decide(turn, ticker, action)
        compat.update_portfolio_metrics(
            total_value=value,
            cash=50_000.0,
            num_positions=3 + turn % 5,
            daily_pnl=600 * math.cos(turn / 7),
            total_return_pct=value / 1_000 - 100,
            max_drawdown_pct=(value / peak - 1) * 100,
        )
        compat.update_system_health(
            uptime_seconds=time.monotonic() - began,
            timescale_connected=True,
            redis_connected=turn % 50 != 49,
            kill_switch_active=turn % 60 == 59,
        )
        yield


def _decide(turn: int, ticker: str, action: str) -> None:
    """Features from the cache, a model's opinion, the rules, and the trade."""
    with compat.FEATURE_STORE_QUERY_LATENCY_SECONDS.time():
        if turn % 10 == 9:
            compat.CACHE_MISSES_TOTAL.inc()
            with compat.track_feature_calculation("mom_20d"):
                time.sleep(0.002)
        else:
            compat.CACHE_HITS_TOTAL.labels(layer="L1_Redis").inc()
    compat.update_cache_metrics(hits=90 + turn % 5, misses=10)
    compat.AGENT_ANALYSES_TOTAL.inc()
    with compat.track_ai_request("claude-3-haiku-20240307", cost_usd=0.0007):
        time.sleep(0.005)
    conviction = 0.5 + 0.4 * math.sin(turn)
    compat.AGENT_CONVICTION_SCORE.observe(conviction)
    compat.AGENT_DECISIONS_TOTAL.labels(ticker=ticker, action=action).inc()
    passed = conviction > 0.3
    compat.track_constitution_check("conviction_threshold", passed=passed)
    if passed and action != "HOLD":
        compat.track_trade(ticker, action, quantity=10, fill_price=150.25)
