"""LLM validation: shows the signal to a language model and takes its word: APPROVE or REJECT.

No word, no trade: if the model does not answer, or not so that it can be read, it is a REJECT.
"""

import json
import logging
import os
import re
from typing import Any, NamedTuple

import httpx
import uvicorn
from fastapi import FastAPI
from ledger import note
from ports import HOST, service_port
from pydantic import BaseModel

import tradespan

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


class Verdict(NamedTuple):
    """What the model says: APPROVE or REJECT, how sure it is (0 to 1), and why."""

    decision: str
    confidence: float | None
    reason: str


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}


@app.get("/stats")
async def get_stats() -> dict[str, int]:
    return stats


@app.post("/validate-recommendation")
async def validate(recommendation: Recommendation) -> dict[str, Any]:
    signal_id = recommendation.signal_id
    async with tradespan.validation(model=MODEL, symbol=recommendation.symbol) as v:
        answer = await generate(PROMPT.format(**recommendation.model_dump()))
        if answer is None:
            verdict = Verdict("REJECT", None, "the model does not answer")
        else:
            v.usage(answer)
            verdict = parse(str(answer.get("response", "")))
        if verdict.decision == "APPROVE":
            v.approve(confidence=verdict.confidence, reason=verdict.reason)
        else:
            v.reject(verdict.reason, confidence=verdict.confidence)
        log.info("%s %s: %s", verdict.decision, recommendation.side, verdict.reason)
    approved = verdict.decision == "APPROVE"
    note("llm-validation", "validation", signal_id, "ok" if approved else "rejected")
    stats["approved" if approved else "rejected"] += 1
    return verdict._asdict()


async def generate(prompt: str) -> dict[str, Any] | None:
    """The model's answer, or None if it has none after TRIES tries."""
    request = {"model": MODEL, "prompt": prompt, "stream": False, "format": "json"}
    for _ in range(TRIES):
        try:
            async with tradespan.call("llm"):
                answer = await ollama.post("/api/generate", json=request)
            found: dict[str, Any] = answer.raise_for_status().json()
        except (httpx.HTTPError, ValueError) as error:
            stats["failed_calls"] += 1
            log.warning("the model server failed: %r", error)
        else:
            return found
    return None


def parse(text: str) -> Verdict:
    """Read a verdict out of what a language model says, prose and code fences around it or not."""
    found = re.search(r"\{.*\}", text, re.DOTALL)
    try:
        said = json.loads(found[0]) if found else {}
    except ValueError:
        said = {}
    word = re.search(r"\b(APPROVE|REJECT)", str(said.get("decision", text)), re.IGNORECASE)
    if word is None:
        return Verdict("REJECT", None, "the model's answer cannot be read")
    try:
        confidence = min(1.0, max(0.0, float(said["confidence"])))
    except (KeyError, TypeError, ValueError):
        confidence = None
    return Verdict(word[1].upper(), confidence, str(said.get("reasoning", ""))[:200])


if __name__ == "__main__":
    port = service_port(8050)
    uvicorn.run(
        app,
        host=HOST,
        port=port,
        log_level="warning",
        timeout_keep_alive=30,  # longer than its clients keep an idle connection
        timeout_graceful_shutdown=5,
    )
