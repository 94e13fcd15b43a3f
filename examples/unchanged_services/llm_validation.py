"""LLM validation: shows the signal to a language model and takes its word: APPROVE or REJECT.

No word, no trade: if the model does not answer, the answer is {"status": "error"}, with HTTP 200.
"""

import json
import logging
import os
import re
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
logging.getLogger("httpx").setLevel(logging.WARNING)
log = logging.getLogger("llm_validation")

OLLAMA_URL = os.environ.get("OLLAMA_URL", "http://127.0.0.1:11434")
MODEL = os.environ.get("OLLAMA_MODEL", "llama3.2:3b")
TRIES = 2
PROMPT = """You are a careful risk officer of a trading desk. A model recommends this trade:

{side} {symbol} at {price:.2f} USD, model confidence {confidence:.2f}
RSI(14) {rsi:.1f}, {below_high_bps:.1f} bps from the 20 minute high
volatility {volatility_bps:.2f} bps a minute

Answer with one JSON object: {{"decision": "APPROVE" or "REJECT", "confidence": 0 to 1, \
"reasoning": one sentence}}"""

app = FastAPI(title="LLM validation")
stats = {"approved": 0, "rejected": 0, "failed_calls": 0}
ollama = httpx.AsyncClient(base_url=OLLAMA_URL, timeout=30.0)


class Recommendation(BaseModel):
    """What the signal generator says."""

    signal_id: str
    symbol: str
    side: str
    price: float
    confidence: float
    rsi: float
    below_high_bps: float
    volatility_bps: float


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}


@app.get("/stats")
async def get_stats() -> dict[str, int]:
    return stats


@app.post("/validate-recommendation")
async def validate(recommendation: Recommendation) -> dict[str, Any]:
    answer = await generate(PROMPT.format(**recommendation.model_dump()))
    if answer is None:
        verdict = rejected("the model does not answer", status="error")
    else:
        verdict = parse(str(answer.get("response", "")))
    log.info("%s %s: %s", verdict["decision"], recommendation.side, verdict["reason"])
    stats["approved" if verdict["decision"] == "APPROVE" else "rejected"] += 1
    return verdict


async def generate(prompt: str) -> dict[str, Any] | None:
    """The model's answer, or None if it has none after TRIES tries."""
    request = {"model": MODEL, "prompt": prompt, "stream": False, "format": "json"}
    for _ in range(TRIES):
        try:
            answer = await ollama.post("/api/generate", json=request)
            found: dict[str, Any] = answer.raise_for_status().json()
        except (httpx.HTTPError, ValueError) as error:
            stats["failed_calls"] += 1
            log.warning("the model server failed: %r", error)
        else:
            return found
    return None


def rejected(reason: str, status: str = "ok") -> dict[str, Any]:
    return {"status": status, "decision": "REJECT", "confidence": None, "reason": reason}


def parse(text: str) -> dict[str, Any]:
    """Read a verdict out of what a language model says, prose and code fences around it or not."""
    found = re.search(r"\{.*\}", text, re.DOTALL)
    try:
        said = json.loads(found[0]) if found else {}
    except ValueError:
        said = {}
    word = re.search(r"\b(APPROVE|REJECT)", str(said.get("decision", text)), re.IGNORECASE)
    if word is None:
        return rejected("the model's answer cannot be read")
    try:
        confidence = min(1.0, max(0.0, float(said["confidence"])))
    except (KeyError, TypeError, ValueError):
        confidence = None
    reason = str(said.get("reasoning", ""))[:200]
    return {
        "status": "ok",
        "decision": word[1].upper(),
        "confidence": confidence,
        "reason": reason,
    }


if __name__ == "__main__":
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=int(os.environ.get("PORT", "8050")),
        log_level="warning",
        timeout_keep_alive=30,  # longer than its clients keep an idle connection
        timeout_graceful_shutdown=5,
    )
