"""The catalogue's helpers for AI agents and portfolios, by its names and arguments."""

from __future__ import annotations

from typing import Any

from tradespan.recorders import agents, features, portfolio, safety, system
from tradespan.recorders.agents import Request
from tradespan.recorders.room import Timer


def track_ai_request(model: str, cost_usd: float | None = None) -> Request:
    """Count, time and price one request to a model: `with track_ai_request("claude-3-haiku"):`.

    Also for `async with`, and as a decorator. Never raises of itself.

    Arguments:
        model: that is asked.
        cost_usd: of the request; untold, see `tradespan.recorders.agents.request`.
    """
    return agents.request(model, cost_usd)


def track_feature_calculation(name: str) -> Timer:  # noqa: ARG001 - the catalogue's signature
    """Time the calculation of a feature: `with track_feature_calculation("mom_20d"):`.

    Also for `async with`, and as a decorator. Never raises of itself.

    Arguments:
        name: of the feature, for the reader of the code; the metric has no label for it.
    """
    return features.calculation()


def track_trade(ticker: str, side: str, quantity: float, fill_price: float) -> None:
    """Count one executed trade, and log it. Never raises.

    Arguments:
        ticker: instrument.
        side: `BUY` or `SELL`, in any case of letters.
        quantity: in units of the instrument.
        fill_price: in the quote currency.
    """
    portfolio.trade(ticker, side, quantity, fill_price)


def track_constitution_check(rule: str, passed: bool) -> None:
    """Count one check of a rule, and a violation where it did not pass. Never raises.

    Arguments:
        rule: such as `max_position_size`.
        passed: whether it was kept.
    """
    safety.check(rule, passed)


def update_portfolio_metrics(
    total_value: float | None = None,
    cash: float | None = None,
    num_positions: int | None = None,
    daily_pnl: float | None = None,
    total_return_pct: float | None = None,
    max_drawdown_pct: float | None = None,
) -> None:
    """Set what is known of the portfolio; what is None stays as it is. Never raises.

    Arguments:
        total_value: cash and holdings in USD.
        cash: in USD.
        num_positions: open ones.
        daily_pnl: profit or loss of the day in USD.
        total_return_pct: return since the start in percent.
        max_drawdown_pct: largest fall from a peak in percent.
    """
    portfolio.update(
        total_value=total_value,
        cash=cash,
        positions=num_positions,
        daily_pnl=daily_pnl,
        total_return_pct=total_return_pct,
    )
    if max_drawdown_pct is not None:
        safety.drawdown(max_drawdown_pct)


def update_cache_metrics(hits: float, misses: float) -> None:
    """Set the cache's hit rate; hits and misses are counted by their own objects. Never raises.

    Arguments:
        hits: found in the cache.
        misses: not found.
    """
    features.hit_rate(hits, misses)


def update_system_health(
    uptime_seconds: float | None = None,
    timescale_connected: bool | None = None,
    redis_connected: bool | None = None,
    kill_switch_active: bool | None = None,
) -> None:
    """Set what is known of the system; what is None stays as it is. Never raises.

    Arguments:
        uptime_seconds: since the service began; goes on by itself from there.
        timescale_connected: whether TimescaleDB answers.
        redis_connected: whether Redis answers.
        kill_switch_active: whether trading is halted.
    """
    system.update(
        uptime_seconds=uptime_seconds,
        timescale_connected=timescale_connected,
        redis_connected=redis_connected,
    )
    if kill_switch_active is not None:
        safety.kill_switch(kill_switch_active)


def start_monitoring_server(port: int = 8001) -> Any:
    """Serve /metrics and /health of this process; see `tradespan.export.endpoints.start`.

    Arguments:
        port: to listen at; where it is taken, a free one is used and said.

    Returns:
        the address, None where nothing is served.

    Raises:
        ConfigError: the port is no port.
    """
    from tradespan.export import endpoints  # needs the SDK, which the helpers do not

    return endpoints.start(port=port)
