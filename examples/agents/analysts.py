"""The agents: who looks at what, how a model is asked, and how their opinions become a decision."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

DIRECTIONS = {"buy": 1, "hold": 0, "sell": -1}
SURE_ENOUGH = 0.15  # conviction below which the desk holds


@dataclass(frozen=True)
class Analyst:
    """An agent with its own creed, its own figures and its own model.

    Attributes:
        path: of the API: OpenAI's chat completions, or Anthropic's messages.
        figures: indicators that it asks for.
    """

    name: str
    model: str
    path: str
    figures: tuple[str, ...]
    creed: str


CHAT, MESSAGES = "/v1/chat/completions", "/v1/messages"
ANALYSTS = (
    Analyst("momentum", "llama-3.2-3b-instruct", CHAT, ("momentum", "volatility", "rsi"),
            "You follow the trend. Strong momentum is bought, weak momentum is sold."),
    Analyst("reversion", "claude-3-haiku-20240307", MESSAGES, ("zscore", "volatility", "momentum"),
            "You fade extremes. A price far above its mean is sold, one far below is bought."),
    Analyst("strength", "desk-tuned-v2", CHAT, ("rsi", "volatility", "momentum"),
            "You read strength. A market in which the gains outweigh the losses is bought."),
)  # fmt: skip
MODELS = tuple(analyst.model for analyst in ANALYSTS)


@dataclass(frozen=True)
class Opinion:
    """What one agent would do; conviction 0 to 1."""

    action: str
    conviction: float


def question(who: Analyst, ticker: str, price: float, figures: Mapping[str, float]) -> Any:
    """The body of the request to the agent's model."""
    seen = {"ticker": ticker, "price": price, **{name: figures[name] for name in who.figures}}
    asked = (
        f"Figures: {json.dumps(seen)}\n"
        'Answer with JSON: {"action": "buy", "sell" or "hold", "conviction": 0 to 1, "reason": ...}'
    )
    user = {"role": "user", "content": asked}
    if who.path == MESSAGES:
        return {"model": who.model, "max_tokens": 200, "system": who.creed, "messages": [user]}
    system = {"role": "system", "content": who.creed}
    return {"model": who.model, "max_tokens": 200, "messages": [system, user]}


def opinion(who: Analyst, answer: Any) -> Opinion:
    """What the model said. Raises ValueError, KeyError or TypeError where that is no opinion."""
    if who.path == MESSAGES:
        text = answer["content"][0]["text"]
    else:
        text = answer["choices"][0]["message"]["content"]
    said = json.loads(text[text.index("{") : text.rindex("}") + 1])
    if said["action"] not in DIRECTIONS:
        raise ValueError(f"{said['action']!r} is no action")
    return Opinion(said["action"], min(1.0, max(0.0, float(said["conviction"]))))


def decide(opinions: Sequence[Opinion], held: float) -> tuple[str, float]:
    """Action and conviction: the mean of the opinions, applied to what is held.

    Arguments:
        opinions: of the agents that answered.
        held: quantity of the ticker, negative where it was sold short.
    """
    views = [DIRECTIONS[o.action] * o.conviction for o in opinions]
    view = sum(views) / len(views) if views else 0.0
    conviction = round(abs(view), 4)
    if conviction < SURE_ENOUGH:
        return "hold", conviction
    if view > 0:
        return ("cover" if held < 0 else "buy"), conviction
    return ("sell" if held > 0 else "short"), conviction
