"""Usage is read out of the answers that model servers really give, objects and dicts alike."""

from __future__ import annotations

from dataclasses import replace
from enum import Enum
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest

from tradespan.recorders.usage import Usage, read, told

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


@pytest.mark.parametrize("form", [dict, as_object])
@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"model": "gpt-5", "choices": []}, Usage("gpt-5")),
        ({"model": "m", "type": "message", "content": []}, Usage("m", provider="anthropic")),
        ({"model": "gpt-5", "object": "response", "id": "resp_1"}, Usage("gpt-5", id="resp_1")),
        ({"model": "phi4", "done": True}, Usage("phi4")),
        ({}, Usage()),
        ({"model": "gpt-5", "object": "chat.completion.chunk", "choices": []}, None),
        ({"model": "gpt-5", "object": "text_completion"}, None),
        ({"type": "message_start", "message": {"model": "m"}}, None),
        ({"type": "message_delta", "usage": {"output_tokens": 15}}, None),
        ({"type": "content_block_delta"}, None),
        ({"type": "response.output_text.delta"}, None),
        ({"type": "ping"}, None),
        ({"model": "phi4", "response": "x", "done": False}, None),
        ({"content": "x", "stop": False}, None),
        ({"error": "overloaded"}, None),
        ({"object": "error", "message": "overloaded"}, None),
    ],
)
def test_a_whole_answer_without_usage(
    form: Any, answer: dict[str, Any], expected: Usage | None
) -> None:
    """It is a call of which nothing is known; errors and the pieces of a stream are none."""
    assert told(form(answer)) == expected
    assert read(form(answer)) is None


def test_nothing_is_told_of_nothing() -> None:
    """A name alone is no call; a figure is one, even where it is wrong."""
    assert told(None) is None
    assert told(None, model="gpt-4o", input_tokens=None) is None
    assert told({"error": "overloaded"}, model="gpt-4o") is None
    assert told(None, model="gpt-4o", input_tokens=-1) == Usage("gpt-4o")


def test_more_cache_than_input() -> None:
    """The input that a vendor counts without its cache has it added, once."""
    found = Usage("m", 10, 5, 30, 20)
    assert found.input_tokens == 60
    assert replace(found, url="http://127.0.0.1").input_tokens == 60
    assert Usage("m", 50, 5, 30, 20).input_tokens == 50
    usage = {"prompt_tokens": 40, "prompt_tokens_details": {"cached_tokens": 30}}
    usage["prompt_tokens_details"]["cache_write_tokens"] = 20
    assert read({"usage": usage}) == Usage("", 90, None, 30, 20)


def test_names_of_any_type() -> None:
    """What nobody named is empty, enums go by their value, and nothing is long."""

    class Model(Enum):
        GPT = "gpt-4o"

    odd: Any = None
    assert Usage(odd).model == ""
    assert Usage(Model.GPT).model == "gpt-4o"  # type: ignore[arg-type]
    assert len(Usage("m" * 100_000).model) == 256


def test_the_caller_knows_better() -> None:
    """Figures given beside an answer win; figures alone are a usage too."""
    assert read(OPENAI, model="gpt-4o") == Usage("gpt-4o", 1000, 100, 200, id=OPENAI["id"])
    assert read(None, input_tokens=5) == Usage(input_tokens=5)
    assert read(None, model="gpt-4o") is None
