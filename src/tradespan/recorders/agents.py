"""Room `agents`: analyses and decisions of AI agents, and their requests to models."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from tradespan import current
from tradespan.recorders import pricing, spending
from tradespan.recorders.room import Room, Timer
from tradespan.recorders.usage import told
from tradespan.semconv import metrics

Action = Literal["buy", "sell", "hold", "short", "cover"]

_ROOM = Room(metrics.AGENT_ANALYSES.room)


def open(*, tickers: Iterable[str] = (), models: Iterable[str] = ()) -> None:  # noqa: A001
    """Create the room's instruments. Never raises.

    Arguments:
        tickers: that will be decided on; their counters stand at 0.
        models: that will be asked; likewise.
    """
    _ROOM.open(ticker=tickers, model_name=models)


def analysis() -> None:
    """Count one analysis. Never raises."""
    _ROOM.record(metrics.AGENT_ANALYSES, 1)


def decision(ticker: str, action: Action | str, conviction: float | None = None) -> None:
    """Count one decision. Never raises.

    Arguments:
        ticker: instrument.
        action: `buy`, `sell`, `hold`, `short` or `cover`, in any case of letters.
        conviction: see `conviction`.
    """
    _ROOM.record(metrics.AGENT_DECISIONS, 1, ticker=ticker, action=action)
    _ROOM.record(metrics.AGENT_CONVICTION_SCORE, conviction)


def conviction(score: float) -> None:
    """Record a conviction that leads to no decision. Never raises.

    Arguments:
        score: 0 to 1; a percentage is taken, and lies above every bucket.
    """
    _ROOM.record(metrics.AGENT_CONVICTION_SCORE, score)


class Request(Timer):
    """One request to a model; see `request`."""

    def __init__(self, model: str, cost_usd: float | None = None) -> None:
        super().__init__(_ROOM.guard, self._took)
        self._model, self._cost = model, cost_usd

    def cost(self, usd: float) -> None:
        """What it cost, where that is known only now. Never raises."""
        self._cost = usd

    def usage(self, answer: object = None, **figures: Any) -> None:
        """What the model used: tokens and cost are recorded, and summed on the stage around.

        The same answer, known by its id, counts once whoever tells of it: this, a stage, a mapped
        host, a GenAI instrumentation. Who tells first decides what it cost.

        Arguments:
            answer: of OpenAI, Anthropic or Ollama, as an object or a dict. One that tells of no
                usage counts as unpriced; an error or one piece of a stream counts as nothing.
            figures: what it does not tell: `input_tokens=`, `output_tokens=`, ...
        """
        with _ROOM.guard:
            used = told(answer, **{"model": self._model, **figures})
            if used is not None:
                spending.note(current.innermost(), used, self._cost)
                self._cost = None

    def _took(self, seconds: float, error: BaseException | None) -> None:
        _ROOM.record(metrics.AI_API_REQUESTS, 1, model_name=self._model)
        _ROOM.record(metrics.AI_API_LATENCY, seconds, model_name=self._model)
        if error is None and self._cost is not None:
            pricing.spend(self._model, cost_usd=self._cost)


def request(model: str, cost_usd: float | None = None) -> Request:
    """Count and time one request to a model: `with request("claude-3-haiku") as r:`.

    Also for `async with`. A request that fails is counted and timed, and costs nothing. Where
    neither a cost nor a usage is told, the cost is left to who knows it: a mapped model host or a
    GenAI instrumentation.

    Arguments:
        model: that is asked.
        cost_usd: what it costs, where that is known before.
    """
    return Request(model, cost_usd)


def requested(model: str, seconds: float | None = None, number: int = 1) -> None:
    """Count requests that were timed elsewhere. Never raises.

    Arguments:
        model: that was asked.
        seconds: that the answer took.
        number: of requests.
    """
    _ROOM.record(metrics.AI_API_REQUESTS, number, model_name=model)
    _ROOM.record(metrics.AI_API_LATENCY, seconds, model_name=model)
