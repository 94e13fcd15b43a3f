"""Usage is read out of the answers that model servers really give, objects and dicts alike."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest

from tradespan.recorders.usage import Usage, read

OPENAI = {
    "id": "chatcmpl-8f1b2c3d4e5f60718293",
    "object": "chat.completion",
    "model": "gpt-4o-mini-2024-07-18",
    "choices": [],
    "usage": {
        "prompt_tokens": 1000,
        "completion_tokens": 100,
        "total_tokens": 1100,
        "prompt_tokens_details": {"cached_tokens": 200},
    },
}
RESPONSES = {
    "id": "resp_8f1b2c3d4e5f60718293",
    "object": "response",
    "model": "gpt-5",
    "usage": {
        "input_tokens": 1000,
        "input_tokens_details": {"cached_tokens": 200},
        "output_tokens": 100,
        "total_tokens": 1100,
    },
}
ANTHROPIC = {
    "id": "msg_8f1b2c3d4e5f60718293",
    "type": "message",
    "model": "claude-sonnet-4-20250514",
    "content": [],
    "usage": {
        "input_tokens": 700,
        "cache_read_input_tokens": 200,
        "cache_creation_input_tokens": 100,
        "output_tokens": 100,
    },
}
OLLAMA = {
    "model": "llama3.2:3b",
    "created_at": "2026-11-21T09:00:00.1Z",
    "response": "APPROVE",
    "done": True,
    "total_duration": 9_000_000_000,
    "load_duration": 5_000_000_000,
    "prompt_eval_count": 120,
    "prompt_eval_duration": 500_000_000,
    "eval_count": 18,
    "eval_duration": 1_500_000_000,
}
LLAMA_CPP = {
    **OPENAI,
    "model": "model.gguf",
    "timings": {"prompt_ms": 250.0, "predicted_ms": 750.0, "predicted_n": 100},
}


def as_object(value: Any) -> Any:
    """The same as objects with attributes, as the vendors' clients give it."""
    if isinstance(value, dict):
        return SimpleNamespace(**{k: as_object(v) for k, v in value.items()})
    return value


@pytest.mark.parametrize("form", [dict, as_object])
@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (OPENAI, Usage(OPENAI["model"], 1000, 100, 200, id=OPENAI["id"])),
        (RESPONSES, Usage("gpt-5", 1000, 100, 200, id=RESPONSES["id"])),
        (
            ANTHROPIC,
            Usage(ANTHROPIC["model"], 1000, 100, 200, 100, None, "anthropic", "", ANTHROPIC["id"]),
        ),
        (
            OLLAMA,
            Usage(
                "llama3.2:3b", 120, 18, seconds=2.0, provider="ollama",
                id="2026-11-21T09:00:00.1Z/9000000000",
            ),
        ),
        (
            LLAMA_CPP,
            Usage("model.gguf", 1000, 100, 200, 0, 1.0, "llama.cpp", id=OPENAI["id"]),
        ),
    ],
)  # fmt: skip
def test_answers(form: Any, answer: dict[str, Any], expected: Usage) -> None:
    """Cached tokens are part of the input, whichever way the vendor counts them."""
    assert read(form(answer)) == expected


def test_ollama_with_a_prompt_in_its_cache() -> None:
    """It leaves the count of the prompt out then; time is the evaluation's."""
    answer = {k: v for k, v in OLLAMA.items() if not k.startswith("prompt")}
    found = read(answer)
    assert found is not None
    assert (found.input_tokens, found.output_tokens, found.seconds) == (None, 18, 1.5)


def test_ollama_that_speaks_like_openai_is_still_local() -> None:
    """No vendor's price is that of deepseek-r1:8b on one's own machine."""
    found = read({**OPENAI, "model": "deepseek-r1:8b", "system_fingerprint": "fp_ollama"})
    assert found is not None
    assert found.provider == "ollama"


@pytest.mark.parametrize(
    "answer",
    [
        None,
        7,
        "text",
        [1, 2],
        {},
        {"error": {"message": "overloaded"}},
        {"usage": None},
        {"usage": {}},
        {"usage": "many"},
        {"usage": {"prompt_tokens": "12", "completion_tokens": True}},
        {"usage": {"prompt_tokens": -1, "completion_tokens": 2**80}},
        {"type": "message_delta", "usage": {"output_tokens": 15}},
        {"model": "gpt-5", "choices": [{"delta": {"content": "x"}}], "usage": None},
        MagicMock(),
    ],
)
def test_what_tells_of_no_usage(answer: Any) -> None:
    """Chunks of a stream, errors and rubbish are none."""
    assert read(answer) is None


def test_the_caller_knows_better() -> None:
    """Figures given beside an answer win; figures alone are a usage too."""
    assert read(OPENAI, model="gpt-4o") == Usage("gpt-4o", 1000, 100, 200, id=OPENAI["id"])
    assert read(None, input_tokens=5) == Usage(input_tokens=5)
    assert read(None, model="gpt-4o") is None
