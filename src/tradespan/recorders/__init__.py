"""Small typed functions for what no stage feeds by itself, one module a room of the catalogue.

    from tradespan.recorders import portfolio

    portfolio.update(total_value=105_000.0, cash=50_000.0, positions=7)

A room is imported when it is first named, and its instruments are created when it is first used,
or by `portfolio.open()`. No function raises, blocks, or needs an SDK to be there.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tradespan.recorders import (
        agents,
        business,
        exchange,
        features,
        portfolio,
        pricing,
        safety,
        streams,
        system,
        training,
        usage,
        voice,
    )

__all__ = [
    "agents",
    "business",
    "exchange",
    "features",
    "portfolio",
    "pricing",
    "safety",
    "streams",
    "system",
    "training",
    "usage",
    "voice",
]


def __getattr__(name: str) -> Any:
    """The room of this name, imported now."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return importlib.import_module(f"{__name__}.{name}")
