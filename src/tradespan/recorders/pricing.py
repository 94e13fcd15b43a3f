"""Cost and tokens of models: `ai_api_cost_usd_total`, tokens by model, and what has no price."""

from __future__ import annotations

import math
from typing import Any

from tradespan import instruments
from tradespan import journey as journeys
from tradespan.guard import guard
from tradespan.recorders import prices
from tradespan.recorders.usage import Usage
from tradespan.semconv import metrics

_SPEND = guard("pricing.spend")
_ROOM = metrics.AI_API_COST.room


def open() -> None:  # noqa: A001 - as in every recorder
    """Create the room's instruments; those of models with a declared price stand at 0."""
    with _SPEND:
        instruments.open_room(_ROOM)
        for model in prices.declared(journeys.settings.prices):
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

    Raises:
        ConfigError: TRADESPAN_PRICES cannot be used.
    """
    return price(Usage(model, input_tokens, output_tokens, **figures))


def price(usage: Usage) -> float | None:
    """USD of one call: as declared in the settings, else as genai-prices knows; else None.

    Raises:
        ConfigError: TRADESPAN_PRICES cannot be used.
    """
    own = _declared(usage)
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
    if not journeys.settings.enabled:
        return None
    cost = price(usage) if cost_usd is None else cost_usd
    if cost is not None and not (math.isfinite(cost) and cost >= 0):
        cost = None
    _record(usage, cost)
    if cost is None:
        prices.tell_unpriced(usage, _declared(usage))
    return cost


def _declared(usage: Usage) -> prices.Price | None:
    return prices.declared_for(usage.model, prices.declared(journeys.settings.prices))


def _record(usage: Usage, cost: float | None) -> None:
    model = {"model_name": usage.model or "unknown"}
    for kind, tokens in (("input", usage.input_tokens), ("output", usage.output_tokens)):
        if tokens is not None:
            instruments.record(metrics.AI_API_TOKENS, tokens, {**model, "token_type": kind})
    instruments.record(metrics.AI_API_UNPRICED, 0 if cost is not None else 1, model)
    if cost is not None:
        instruments.record(metrics.AI_API_COST, cost, model)
