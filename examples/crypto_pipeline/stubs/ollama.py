"""A stub of Ollama's model server: no language model inside, its answer is a hash of the prompt.

The same prompt always gets the same answer. Token counts are estimated from the real texts, the
durations are measured. POST /settings changes latency_ms and error_rate while it runs.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import time
from datetime import UTC, datetime
from typing import Any

import uvicorn
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel, Field

APPROVED = 0.8  # share of the prompts
CHARACTERS_PER_TOKEN = 4  # of English text, roughly

app = FastAPI(title="stub of Ollama")
calls = 0


class Settings(BaseModel):
    """How it behaves."""

    latency_ms: float = Field(default=15.0, ge=0)
    error_rate: float = Field(default=0.0, ge=0, le=1)


class Generate(BaseModel):
    """What /api/generate takes; the rest of Ollama's options is ignored."""

    model: str
    prompt: str
    stream: bool = False


settings = Settings(
    latency_ms=float(os.environ.get("LATENCY_MS", "15")),
    error_rate=float(os.environ.get("ERROR_RATE", "0")),
)


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}


@app.api_route("/settings", methods=["POST", "PUT"])
async def change(body: dict[str, float]) -> Settings:
    global settings
    settings = Settings(**{**settings.model_dump(), **body})
    return settings


@app.post("/api/generate")
async def generate(request: Generate) -> dict[str, Any]:
    global calls
    began = time.perf_counter_ns()
    calls += 1
    fails = int(calls * settings.error_rate) > int((calls - 1) * settings.error_rate)
    await asyncio.sleep(settings.latency_ms / 1000)
    if fails:
        raise HTTPException(500, "llama runner process has terminated: signal: killed")
    read = time.perf_counter_ns()
    response = answer(request.prompt)
    ended = time.perf_counter_ns()
    return {
        "model": request.model,
        "created_at": datetime.now(UTC).isoformat(),
        "response": response,
        "done": True,
        "done_reason": "stop",
        "total_duration": ended - began,
        "load_duration": 0,
        "prompt_eval_count": tokens(request.prompt),
        "prompt_eval_duration": read - began,
        "eval_count": tokens(response),
        "eval_duration": ended - read,
    }


def answer(prompt: str) -> str:
    """A verdict as small models write it: mostly plain JSON, sometimes in a fence or in prose."""
    digest = hashlib.sha256(prompt.encode()).digest()
    approves = digest[0] / 256 < APPROVED
    verdict = {
        "decision": "APPROVE" if approves else "REJECT",
        "confidence": round(0.55 + 0.4 * digest[1] / 255, 2),
        "reasoning": "momentum agrees" if approves else "momentum does not support the trade",
    }
    text = json.dumps(verdict)
    style = digest[2] % 8
    if style == 0:
        return f"```json\n{text}\n```"
    return f"Here is my assessment: {text}" if style == 1 else text


def tokens(text: str) -> int:
    return max(1, len(text) // CHARACTERS_PER_TOKEN)


if __name__ == "__main__":
    port = int(os.environ.get("PORT", "11434"))
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", timeout_keep_alive=60)
