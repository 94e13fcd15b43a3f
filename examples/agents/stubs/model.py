"""A stub of a model server: no language model inside, it answers by arithmetic on the figures.

It speaks like llama.cpp's server (OpenAI's chat completions, with `timings`) and like Anthropic's
messages. Token counts are estimated from the real texts, the timings are measured. What it served
is at /stats, and in its last line. POST /settings changes latency_ms and error_rate while it runs.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel, Field

CHARACTERS_PER_TOKEN = 4  # of English text, roughly
LEANINGS: dict[str, Callable[[dict[str, Any]], float]] = {  # by a word of the system prompt
    "trend": lambda f: f["momentum"] / 0.012,
    "extremes": lambda f: -f["zscore"] / 2 if abs(f["zscore"]) > 1.5 else 0.0,
    "strength": lambda f: (f["rsi"] - 50) / 25,
}


class Settings(BaseModel):
    """How it behaves."""

    latency_ms: float = Field(default=10.0, ge=0)
    error_rate: float = Field(default=0.0, ge=0, le=1)


settings = Settings(
    latency_ms=float(os.environ.get("LATENCY_MS", "10")),
    error_rate=float(os.environ.get("ERROR_RATE", "0")),
)
served: Counter[str] = Counter()


@asynccontextmanager
async def says_what_it_served(_: FastAPI) -> AsyncIterator[None]:
    yield
    print("served:", json.dumps(served), flush=True)


app = FastAPI(title="stub of a model server", lifespan=says_what_it_served)


@app.get("/stats")
async def stats() -> Counter[str]:
    return served


@app.api_route("/settings", methods=["POST", "PUT"])
async def change(body: dict[str, float]) -> Settings:
    global settings
    settings = Settings(**{**settings.model_dump(), **body})
    return settings


@app.post("/v1/chat/completions")
async def chat(body: dict[str, Any]) -> dict[str, Any]:
    """As llama.cpp's server answers."""
    system, user = (message["content"] for message in body["messages"])
    text, given, made, times = await work(body["model"], system, user)
    message = {"role": "assistant", "content": text}
    return {
        "id": f"chatcmpl-{uuid.uuid4().hex}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": body["model"],
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": given, "completion_tokens": made, "total_tokens": given + made},
        "timings": {"prompt_n": given, **times, "predicted_n": made},
    }


@app.post("/v1/messages")
async def messages(body: dict[str, Any]) -> dict[str, Any]:
    """As Anthropic answers."""
    text, given, made, _ = await work(body["model"], body["system"], body["messages"][0]["content"])
    return {
        "id": f"msg_{uuid.uuid4().hex}",
        "type": "message",
        "role": "assistant",
        "model": body["model"],
        "content": [{"type": "text", "text": text}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": given, "output_tokens": made},
    }


async def work(model: str, system: str, user: str) -> tuple[str, int, int, dict[str, float]]:
    """The text of an answer, its tokens in and out, and how long both took."""
    began = time.perf_counter()
    number = served[f"{model} asked"] = served[f"{model} asked"] + 1
    await asyncio.sleep(settings.latency_ms / 1000)
    if int(number * settings.error_rate) > int((number - 1) * settings.error_rate):
        raise HTTPException(529, "overloaded")
    read = time.perf_counter()
    text = answer(system, user)
    given, made = tokens(system) + tokens(user), tokens(text)
    served.update({model: 1, f"{model} input": given, f"{model} output": made})
    ended = time.perf_counter()
    return text, given, made, {
        "prompt_ms": (read - began) * 1000, "predicted_ms": (ended - read) * 1000
    }  # fmt: skip


def answer(system: str, user: str) -> str:
    """A verdict as models write it, with a reason that says where it is from."""
    figures = json.JSONDecoder().raw_decode(user, user.index("{"))[0]
    leaning = next((of for word, of in LEANINGS.items() if word in system), lambda _: 0.0)
    score = leaning(figures)
    action = "buy" if score > 0.3 else "sell" if score < -0.3 else "hold"
    verdict = {
        "action": action,
        "conviction": round(min(0.95, 0.5 + 0.25 * abs(score)), 2),
        "reason": f"arithmetic of a stub, score {score:.2f}",
    }
    return f"My view: {json.dumps(verdict)}"


def tokens(text: str) -> int:
    return max(1, len(text) // CHARACTERS_PER_TOKEN)


if __name__ == "__main__":
    port = int(os.environ.get("PORT", "8090"))
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", timeout_keep_alive=60)
