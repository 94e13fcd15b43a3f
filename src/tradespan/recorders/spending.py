"""What the models of a stage used and cost: each call recorded once, and summed on its stage."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tradespan import current
from tradespan import journey as journeys
from tradespan.current import Nested
from tradespan.memory import Memory
from tradespan.recorders import pricing
from tradespan.recorders.usage import Usage
from tradespan.semconv import attributes as names

_TRUSTED = 16  # characters from which an id is taken for unique; Ollama makes chatcmpl-317
_counted = Memory()
_lock = threading.Lock()


def note(stage: Nested | None, usage: Usage, cost_usd: float | None = None) -> bool:
    """Record one call of a model, and add it to the stage; the last model is the deciding one.

    Arguments:
        stage: in which it was asked, if any.
        usage: what the answer says.
        cost_usd: what it cost, where the caller knows; else the prices tell.

    Returns:
        False where the same answer has been noted before, by another way.
    """
    known = _identity(usage)
    if known is not None and _counted.count(known) > 1:
        return False
    if not usage.model and stage is not None:
        usage = replace(usage, model=str(stage.values.get("model") or ""))
    cost = pricing.record(usage, cost_usd)
    if stage is None:
        return True
    with _lock:
        values = stage.values
        if usage.model:
            values["model"] = usage.model
        for name in ("input_tokens", "output_tokens"):
            used = getattr(usage, name)
            if used is not None:
                values[name] = values.get(name, 0) + used
        what, much = ("unpriced", 1) if cost is None else ("cost_usd", cost)
        values[what] = values.get(what, 0) + much
    return True


def note_span(attributes: Mapping[str, Any], url: str) -> None:
    """Note the call of a model of which a span tells; on the stage that is going on here.

    Arguments:
        attributes: of the span of an official GenAI instrumentation, or of a vendor's own.
        url: of the server that was asked.
    """
    usage = _of_span(attributes, url)
    if usage is not None:
        note(current.innermost(), usage)


def _of_span(attributes: Mapping[str, Any], url: str) -> Usage | None:
    tokens = attributes.get(names.GEN_AI_USAGE_INPUT_TOKENS)
    answered = attributes.get(names.GEN_AI_RESPONSE_ID)
    if tokens is None and answered is None:
        return None
    model = attributes.get(names.GEN_AI_RESPONSE_MODEL) or attributes.get(
        names.GEN_AI_REQUEST_MODEL
    )
    return Usage(
        model=str(model or ""),
        input_tokens=tokens,
        output_tokens=attributes.get(
            names.GEN_AI_USAGE_OUTPUT_TOKENS, None if tokens is None else 0
        ),
        cache_read_tokens=attributes.get(names.GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS) or 0,
        cache_write_tokens=attributes.get(names.GEN_AI_USAGE_CACHE_WRITE_INPUT_TOKENS) or 0,
        provider=str(attributes.get(names.GEN_AI_PROVIDER_NAME) or ""),
        url=url,
        id=str(answered or ""),
    )


def _identity(usage: Usage) -> tuple[object, ...] | None:
    """By what an answer is known again, whichever way it is noted; None where it cannot be."""
    if len(usage.id) >= _TRUSTED:
        return usage.id, usage.input_tokens, usage.output_tokens
    journey = journeys.current_journey()
    if not usage.id or journey is None:
        return None
    return usage.id, usage.input_tokens, usage.output_tokens, journey.signal_id


def reset() -> None:
    """Forget the answers seen; for tests."""
    _counted.clear()


def _after_fork() -> None:
    """Another thread may have held the lock when this process was forked."""
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_after_fork)
