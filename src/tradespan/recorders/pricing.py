"""Cost and tokens of models: `ai_api_cost_usd_total`, tokens by model, and what has no price."""

from __future__ import annotations

from typing import Any

from tradespan import instruments
from tradespan import settings as setting
from tradespan.guard import guard
from tradespan.recorders import prices
from tradespan.recorders.usage import Usage
from tradespan.semconv import metrics

_SPEND, _PRICE = guard("pricing.spend"), guard("pricing.price")
_ROOM = metrics.AI_API_COST.room


def open() -> None:  # noqa: A001 - as in every recorder
    """Create the room's instruments; those of models with a declared price stand at 0."""
    with _SPEND:
        instruments.open_room(_ROOM)
        for model in prices.applied(setting.current.prices) or ():
            if not any(c in model for c in "*?["):
                _record(Usage(model, 0, 0), 0.0)


def cost_usd(
    model: str,
    input_tokens: int | None = None,
    output_tokens: int | None = None,
    **figures: Any,
) -> float | None:
    """USD of one call of a model, None where its price or its usage is unknown. Counts nothing.

    Arguments:
        model: as the vendor, or the setting, names it.
        input_tokens: of the whole prompt, those of a cache included.
        output_tokens: of the answer.
        figures: cache_read_tokens, cache_write_tokens, seconds, provider, url; see `Usage`.
    """
    return price(Usage(model, input_tokens, output_tokens, **figures))


def price(usage: Usage) -> float | None:
    """USD of one call: as declared in the settings, else as genai-prices knows; else None.

    None too where what the settings declare cannot be read: it may declare this very model.
    """
    declared = prices.applied(setting.current.prices)
    if declared is None:
        return None
    own = prices.declared_for(usage.model, declared)
    return prices.known(usage) if own is None else own.of(usage)


def spend(model: str, *, cost_usd: float | None = None, **figures: Any) -> float | None:
    """Record one call of a model. Never raises.

    Arguments:
        model: as the vendor, or the setting, names it.
        cost_usd: what it cost, where the caller knows; else the prices tell.
        figures: input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, seconds,
            provider, url; see `Usage`.

    Returns:
        Its cost in USD; None where that is unknown, which is counted.
    """
    with _SPEND:
        return record(Usage(model, **figures), cost_usd)
    return None


def record(usage: Usage, cost_usd: float | None = None) -> float | None:
    """Record the tokens of one call, and its cost or that it has none; arguments as `spend`."""
    if not setting.current.enabled:
        return None
    cost = cost_usd
    with _PRICE:  # whatever a price list raises, the tokens count
        cost = price(usage) if cost is None else cost
    if cost is not None:
        cost = instruments.number(metrics.AI_API_COST, cost, _SPEND.site)
    _record(usage, cost)
    declared = prices.applied(setting.current.prices)
    if cost is None and declared is not None:
        prices.tell_unpriced(usage, prices.declared_for(usage.model, declared))
    return cost


def _record(usage: Usage, cost: float | None) -> None:
    model = {"model_name": usage.model or "unknown"}
    for kind, tokens in (("input", usage.input_tokens), ("output", usage.output_tokens)):
        if tokens is not None:
            instruments.record(metrics.AI_API_TOKENS, tokens, {**model, "token_type": kind})
    instruments.record(metrics.AI_API_UNPRICED, 0 if cost is not None else 1, model)
    if cost is not None:
        instruments.record(metrics.AI_API_COST, cost, model)
