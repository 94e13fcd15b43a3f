"""Room `streams`: decisions and inference in a service that lives on streams.

Depth and rate of a Redis stream are measured by `tradespan.handoffs.redis`, the drawdown by
`tradespan.recorders.safety.Drawdown`.
"""

from __future__ import annotations

from collections.abc import Iterable

from tradespan.recorders.agents import Action
from tradespan.recorders.room import Room, Timer
from tradespan.semconv import metrics

_ROOM = Room(metrics.TRADING_STREAM_DECISIONS.room)


def open(*, streams: Iterable[str] = ()) -> None:  # noqa: A001
    """Create the room's instruments. Never raises.

    Arguments:
        streams: that decisions will be written to; their counters stand at 0.
    """
    _ROOM.open(stream=streams)


def decision(stream: str, action: Action | str) -> None:
    """Count one decision written to a stream. Never raises.

    Arguments:
        stream: such as `trader:decisions`.
        action: `buy`, `sell`, `hold`, `short` or `cover`, in any case of letters.
    """
    _ROOM.record(metrics.TRADING_STREAM_DECISIONS, 1, stream=stream, action=action)


def inference(model: str) -> Timer:
    """Time one inference of a model: `with inference("llama-3"):`, or `async with`."""
    return Timer(_ROOM.guard, lambda seconds, _: inferred(model, seconds))


def inferred(model: str, seconds: float) -> None:
    """Record an inference that was timed elsewhere. Never raises.

    Arguments:
        model: that was asked.
        seconds: that it took.
    """
    _ROOM.record(metrics.TRADING_INFERENCE_DURATION, seconds, model_name=model)
