"""A stand-in for llama.cpp's server: no language model inside, its answer is a hash of the prompt.

POST /completion and GET /metrics have the fields and names of the real one, as its own
documentation lists them (tools/server/README.md in ggml-org/llama.cpp). The figures count the
requests that were served; tokens are estimated from the texts. POST /settings changes ms_per_token.
"""

import asyncio
import hashlib
import os
import time
from typing import Any

import uvicorn
from fastapi import FastAPI
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel

MODEL = "llama-3.2-3b-instruct"
CHARACTERS_PER_TOKEN = 4  # of English text, roughly
VERBOSE = 24  # one answer in so many is a long one

app = FastAPI(title="stand-in for llama.cpp's server")
settings = {"ms_per_token": float(os.environ.get("MS_PER_TOKEN", "1.5"))}
slot = asyncio.Lock()  # it serves one request at a time, as with --parallel 1
waiting = 0

HELP = {  # name after `llamacpp:`, type and text
    "prompt_tokens_total": ("counter", "Number of prompt tokens processed."),
    "prompt_seconds_total": ("counter", "Prompt process time"),
    "tokens_predicted_total": ("counter", "Number of generation tokens processed."),
    "tokens_predicted_seconds_total": ("counter", "Predict process time"),
    "n_decode_total": ("counter", "Total number of llama_decode() calls"),
    "n_tokens_max": ("counter", "Largest observed n_tokens."),
    "n_busy_slots_per_decode": ("gauge", "Average number of busy slots per llama_decode() call"),
    "prompt_tokens_seconds": ("gauge", "Average prompt throughput in tokens/s."),
    "predicted_tokens_seconds": ("gauge", "Average generation throughput in tokens/s."),
    "requests_processing": ("gauge", "Number of requests processing."),
    "requests_deferred": ("gauge", "Number of requests deferred."),
}
figures = dict.fromkeys(HELP, 0.0)


class Completion(BaseModel):
    """What /completion takes; the rest of the real one's options is ignored."""

    prompt: str
    n_predict: int = -1


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}


@app.post("/settings")
async def change(body: dict[str, float]) -> dict[str, float]:
    settings.update(body)
    return settings


@app.get("/metrics", response_class=PlainTextResponse)
async def metrics() -> str:
    busy = int(slot.locked())
    figures.update(requests_processing=busy, requests_deferred=waiting - busy)
    lines = (
        f"# HELP llamacpp:{name} {text}\n# TYPE llamacpp:{name} {kind}\n"
        f"llamacpp:{name} {figures[name]:.6g}\n"
        for name, (kind, text) in HELP.items()
    )
    return "".join(lines)


@app.post("/completion")
async def completion(request: Completion) -> dict[str, Any]:
    global waiting
    waiting += 1
    try:
        async with slot:
            return await served(request)
    finally:
        waiting -= 1


async def served(request: Completion) -> dict[str, Any]:
    began = time.perf_counter()
    content = answer(request.prompt)
    read, written = tokens(request.prompt), tokens(content)
    if 0 <= request.n_predict < written:
        content, written = content[: request.n_predict * CHARACTERS_PER_TOKEN], request.n_predict
    await asyncio.sleep(read * settings["ms_per_token"] / 10_000)  # reading is faster
    first = time.perf_counter()
    await asyncio.sleep(written * settings["ms_per_token"] / 1000)
    ended = time.perf_counter()
    count(read, first - began, written, ended - first)
    return {
        "content": content,
        "model": MODEL,
        "stop": True,
        "stop_type": "limit" if written == request.n_predict else "eos",
        "tokens_evaluated": read,
        "tokens_predicted": written,
        "tokens_cached": read + written,
        "truncated": False,
        "timings": {
            "prompt_n": read,
            "prompt_ms": 1000 * (first - began),
            "predicted_n": written,
            "predicted_ms": 1000 * (ended - first),
        },
    }


def count(read: int, read_s: float, written: int, written_s: float) -> None:
    figures["prompt_tokens_total"] += read
    figures["prompt_seconds_total"] += read_s
    figures["tokens_predicted_total"] += written
    figures["tokens_predicted_seconds_total"] += written_s
    figures["n_decode_total"] += 1 + written  # the prompt, then token by token
    figures["n_tokens_max"] = max(figures["n_tokens_max"], read + written)
    figures["n_busy_slots_per_decode"] = 1.0
    figures["prompt_tokens_seconds"] = (
        figures["prompt_tokens_total"] / figures["prompt_seconds_total"]
    )
    figures["predicted_tokens_seconds"] = (
        figures["tokens_predicted_total"] / figures["tokens_predicted_seconds_total"]
    )


def answer(prompt: str) -> str:
    digest = hashlib.sha256(prompt.encode()).digest()
    view = ("up", "down", "flat")[digest[0] % 3]
    text = f"{view}. The order book leans that way."
    return text + " And then again" * 16 if digest[1] % VERBOSE == 0 else text


def tokens(text: str) -> int:
    return max(1, len(text) // CHARACTERS_PER_TOKEN)


if __name__ == "__main__":
    port = int(os.environ.get("PORT", "9091"))
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", timeout_keep_alive=60)
