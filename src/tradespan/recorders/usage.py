"""What a model says it used, out of answers in the shapes of OpenAI, Anthropic and Ollama."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from tradespan import instruments
from tradespan.semconv import metrics

_SITE: Final = "pricing.usage"
_NS = 1e9
_LARGEST = 2**63  # what is above is no count
_LONGEST = 256  # characters of a name
_USED: Final = ("input_tokens", "output_tokens", "seconds")
_EMPTY: Final[Mapping[str, Any]] = {}
_PIECE: Final = re.compile(
    r"(\.chunk|\.delta|^text_completion|^ping|^error)$|^(response\.|message_|content_)"
)
"""`type` or `object` of what an API sends beside whole answers: an error, one event of a stream."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What one call of a model used.

    A figure that is no number, or below 0, is left out and counted in
    `tradespan.telemetry.failures`. Where the tokens of a cache are more than the input, it is taken
    for what no cache had to do with, and has them added.

    Attributes:
        model: that answered; empty where it does not say.
        input_tokens: of the whole prompt, those read from and written to a cache included.
        output_tokens: of the answer, its reasoning included.
        cache_read_tokens: of the input, those that a cache had.
        cache_write_tokens: of the input, those that a cache took.
        seconds: that the model worked, where a local server says so.
        provider: `openai`, `anthropic`, ...; `ollama` and `llama.cpp` are local; empty is unknown.
        url: scheme and host that were asked, where known.
        id: of the answer, by which it is counted once however often it is noted.
    """

    model: str = ""
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    seconds: float | None = None
    provider: str = ""
    url: str = ""
    id: str = ""

    def __post_init__(self) -> None:
        """Whoever tells of it, what follows adds and multiplies its figures."""
        put = functools.partial(object.__setattr__, self)
        for name in ("model", "provider", "url", "id"):
            put(name, instruments.text_of(getattr(self, name))[:_LONGEST])
        for name in ("input_tokens", "output_tokens"):
            put(name, _tokens(getattr(self, name)))
        for name in ("cache_read_tokens", "cache_write_tokens"):
            put(name, _tokens(getattr(self, name)) or 0)
        if self.seconds is not None:
            put("seconds", instruments.number(metrics.AI_API_LATENCY, self.seconds, _SITE))
        cached = self.cache_read_tokens + self.cache_write_tokens
        if self.input_tokens is not None and self.input_tokens < cached:
            put("input_tokens", self.input_tokens + cached)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is known of what was used."""
        return all(getattr(self, name) is None for name in _USED)


def read(answer: object, **figures: Any) -> Usage | None:
    """The usage in one whole answer, or None where nothing tells of any.

    Arguments:
        answer: a mapping, or an object with attributes of the same names: chat completions and
            responses of OpenAI and of servers that speak like it (vLLM, llama.cpp), messages of
            Anthropic, generate and chat of Ollama. Of a stream, the last chunk of OpenAI and
            Ollama, or Anthropic's final message.
        figures: fields of `Usage` that the caller knows better.
    """
    found = told(answer, **figures)
    return None if found is None or found.is_empty else found


def told(answer: object, **figures: Any) -> Usage | None:
    """As `read`; an empty one for a whole answer that tells of no usage, for a call was made."""
    found = _ollama(answer) if _has(answer, "eval_count") else _openai_or_anthropic(answer)
    if found is not None:
        return replace(found, **figures) if figures else found
    given = Usage(**figures)
    return given if any(figures.get(name) is not None for name in _USED) else None


def _ollama(answer: object) -> Usage:
    work = [_count(_get(answer, key)) or 0 for key in ("prompt_eval_duration", "eval_duration")]
    seconds = (sum(work) or _count(_get(answer, "total_duration")) or 0) / _NS
    made, took = _get(answer, "created_at"), _get(answer, "total_duration")
    return Usage(
        model=_text(_get(answer, "model")),
        input_tokens=_count(_get(answer, "prompt_eval_count")),
        output_tokens=_count(_get(answer, "eval_count")),
        seconds=seconds or None,
        provider="ollama",
        id=f"{made}/{took}" if made and took else "",
    )


def _openai_or_anthropic(answer: object) -> Usage | None:
    usage = _get(answer, "usage")
    if _get(answer, "type") == "message_delta":  # one of a stream: not the whole
        return None
    if usage is None and (answer is None or _is_piece(answer)):
        return None
    anthropic = _get(answer, "type") == "message" or _has(usage, "cache_read_input_tokens")
    given = _count(_get(usage, "input_tokens", "prompt_tokens"))
    details = _get(usage, "prompt_tokens_details", "input_tokens_details") or _EMPTY
    if anthropic:  # its input tokens are those that no cache had to do with
        cached = _count(_get(usage, "cache_read_input_tokens")) or 0
        written = _count(_get(usage, "cache_creation_input_tokens")) or 0
        whole = None if given is None else given + cached + written
    else:
        cached = _count(_get(details, "cached_tokens")) or 0
        written = _count(_get(details, "cache_write_tokens")) or 0
        whole = given
    return Usage(
        model=_text(_get(answer, "model")),
        input_tokens=whole,
        output_tokens=_count(_get(usage, "output_tokens", "completion_tokens")),
        cache_read_tokens=cached,
        cache_write_tokens=written,
        seconds=_llama_cpp(answer),
        provider="anthropic" if anthropic else _speaks_like_openai(answer),
        id=_text(_get(answer, "id")),
    )


def _is_piece(answer: object) -> bool:
    """Whether this is an error, or one of a stream."""
    if _has(answer, "error") or any(_get(answer, key) is False for key in ("done", "stop")):
        return True
    return any(_PIECE.search(_text(_get(answer, key))) for key in ("type", "object"))


def _speaks_like_openai(answer: object) -> str:
    """Which local server it is that speaks so; empty where that, or OpenAI itself, is unknown."""
    if _text(_get(answer, "system_fingerprint")) == "fp_ollama":
        return "ollama"
    return "llama.cpp" if _has(answer, "timings") else ""


def _llama_cpp(answer: object) -> float | None:
    timings = _get(answer, "timings")
    work = [_number(_get(timings, key)) for key in ("prompt_ms", "predicted_ms")]
    return sum(work) / 1000 or None


def _get(source: object, *names: str) -> Any:
    """The first of these that the mapping or object has."""
    for name in names:
        found = source.get(name) if isinstance(source, Mapping) else getattr(source, name, None)
        if found is not None:
            return found
    return None


def _has(source: object, name: str) -> bool:
    return _get(source, name) is not None


def _count(value: Any) -> int | None:
    """A count of tokens or nanoseconds, None where it is none."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    return int(value) if whole and 0 <= value < _LARGEST else None


def _tokens(value: Any) -> int | None:
    """Tokens as a caller counts them; None, counted as a failure, where that is no number."""
    counted = _count(value)
    if value is None or counted is not None:
        return counted
    number = instruments.number(metrics.AI_API_TOKENS, value, _SITE)
    return None if number is None or number >= _LARGEST else round(number)


def _number(value: Any) -> float:
    known = isinstance(value, int | float) and math.isfinite(value) and value > 0
    return float(value) if known else 0.0


def _text(value: Any) -> str:
    return value if isinstance(value, str) and len(value) <= _LONGEST else ""
