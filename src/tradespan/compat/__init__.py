"""The catalogue's names for AI agents and portfolios, for code that was written against them.

Helpers (`track_trade(...)`), and metric objects in the manner of prometheus_client
(`KILL_SWITCH_STATUS.set(1)`), all onto the rooms of `tradespan.recorders`. A demo of them:
`python -m tradespan.compat`.
"""

from __future__ import annotations

from tradespan.compat.objects import (
    AGENT_ANALYSES_TOTAL,
    AGENT_CONVICTION_SCORE,
    AGENT_DECISIONS_TOTAL,
    AI_API_COST_USD_TOTAL,
    AI_API_LATENCY_SECONDS,
    AI_API_REQUESTS_TOTAL,
    CACHE_HIT_RATE,
    CACHE_HITS_TOTAL,
    CACHE_MISSES_TOTAL,
    CONSTITUTION_CHECKS_TOTAL,
    CONSTITUTION_VIOLATIONS_TOTAL,
    CURRENT_POSITIONS_COUNT,
    DAILY_PNL,
    FEATURE_CALCULATION_LATENCY_SECONDS,
    FEATURE_STORE_QUERY_LATENCY_SECONDS,
    KILL_SWITCH_STATUS,
    MAX_DRAWDOWN_PCT,
    PORTFOLIO_CASH,
    PORTFOLIO_TOTAL_VALUE,
    REDIS_CONNECTION_STATUS,
    SYSTEM_UPTIME_SECONDS,
    TIMESCALE_CONNECTION_STATUS,
    TOTAL_RETURN_PCT,
    TRADES_TOTAL,
)
from tradespan.compat.tracking import (
    start_monitoring_server,
    track_ai_request,
    track_constitution_check,
    track_feature_calculation,
    track_trade,
    update_cache_metrics,
    update_portfolio_metrics,
    update_system_health,
)

__all__ = [
    "AGENT_ANALYSES_TOTAL",
    "AGENT_CONVICTION_SCORE",
    "AGENT_DECISIONS_TOTAL",
    "AI_API_COST_USD_TOTAL",
    "AI_API_LATENCY_SECONDS",
    "AI_API_REQUESTS_TOTAL",
    "CACHE_HITS_TOTAL",
    "CACHE_HIT_RATE",
    "CACHE_MISSES_TOTAL",
    "CONSTITUTION_CHECKS_TOTAL",
    "CONSTITUTION_VIOLATIONS_TOTAL",
    "CURRENT_POSITIONS_COUNT",
    "DAILY_PNL",
    "FEATURE_CALCULATION_LATENCY_SECONDS",
    "FEATURE_STORE_QUERY_LATENCY_SECONDS",
    "KILL_SWITCH_STATUS",
    "MAX_DRAWDOWN_PCT",
    "PORTFOLIO_CASH",
    "PORTFOLIO_TOTAL_VALUE",
    "REDIS_CONNECTION_STATUS",
    "SYSTEM_UPTIME_SECONDS",
    "TIMESCALE_CONNECTION_STATUS",
    "TOTAL_RETURN_PCT",
    "TRADES_TOTAL",
    "start_monitoring_server",
    "track_ai_request",
    "track_constitution_check",
    "track_feature_calculation",
    "track_trade",
    "update_cache_metrics",
    "update_portfolio_metrics",
    "update_system_health",
]
