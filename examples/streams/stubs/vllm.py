"""A stand-in for vLLM's server: no language model inside, its answer is a hash of the prompt.

POST /v1/completions and GET /metrics have the fields, names, labels and (shortened) buckets of the
real one, as its source has them (vllm/v1/metrics/loggers.py and docs/design/metrics.md in
vllm-project/vllm). The figures count the requests that were served; tokens are estimated from the
texts. POST /settings changes ms_per_token.
"""

import asyncio
import hashlib
import os
import time
from typing import Any

import uvicorn
from fastapi import FastAPI, Response
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from pydantic import BaseModel

MODEL = "meta-llama/Llama-3.1-8B-Instruct"
CHARACTERS_PER_TOKEN = 4  # of English text, roughly
AGREES = 0.8  # share of the prompts
CACHE_TOKENS = 16_384  # that fit into the cache of keys and values

app = FastAPI(title="stand-in for vLLM's server")
settings = {"ms_per_token": float(os.environ.get("MS_PER_TOKEN", "1.5"))}
registry = CollectorRegistry()

NAMES = ["model_name", "engine"]
OWN = {"model_name": MODEL, "engine": "0"}
FIRST = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 10.0)
BETWEEN = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0)
WHOLE = (0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 60.0)


def gauge(name: str, text: str) -> Gauge:
    return Gauge(f"vllm:{name}", text, NAMES, registry=registry).labels(**OWN)


def counter(name: str, text: str) -> Counter:
    return Counter(f"vllm:{name}", text, NAMES, registry=registry).labels(**OWN)


def histogram(name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
    made = Histogram(f"vllm:{name}", text, NAMES, registry=registry, buckets=buckets)
    return made.labels(**OWN)


running = gauge("num_requests_running", "Number of requests in model execution batches.")
queued = gauge("num_requests_waiting", "Number of requests waiting to be processed.")
cache = gauge("kv_cache_usage_perc", "KV-cache usage. 1 means 100 percent usage.")
prompt_tokens = counter("prompt_tokens", "Number of prefill tokens processed.")
generation_tokens = counter("generation_tokens", "Number of generation tokens processed.")
first_token = histogram("time_to_first_token_seconds", "Time to first token in seconds.", FIRST)
inter_token = histogram("inter_token_latency_seconds", "Inter-token latency in seconds.", BETWEEN)
end_to_end = histogram("e2e_request_latency_seconds", "E2e request latency in seconds.", WHOLE)
success = Counter(
    "vllm:request_success", "Count of successfully processed requests.",
    [*NAMES, "finished_reason"], registry=registry,
)  # fmt: skip
for reason in ("stop", "length", "abort"):
    success.labels(**OWN, finished_reason=reason)


class Completion(BaseModel):
    """What /v1/completions takes; the rest of the real one's options is ignored."""

    model: str
    prompt: str
    max_tokens: int = 16


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}


@app.post("/settings")
async def change(body: dict[str, float]) -> dict[str, float]:
    settings.update(body)
    return settings


@app.get("/metrics")
async def metrics() -> Response:
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


@app.post("/v1/completions")
async def completions(request: Completion) -> dict[str, Any]:
    began = time.perf_counter()
    text = answer(request.prompt)
    read, written = tokens(request.prompt), min(tokens(text), request.max_tokens)
    reason = "length" if written < tokens(text) else "stop"
    running.inc()
    cache.inc((read + written) / CACHE_TOKENS)
    try:
        await asyncio.sleep(read * settings["ms_per_token"] / 10_000)  # reading is faster
        first_token.observe(time.perf_counter() - began)
        for _ in range(written - 1):
            before = time.perf_counter()
            await asyncio.sleep(settings["ms_per_token"] / 1000)
            inter_token.observe(time.perf_counter() - before)
    finally:
        running.dec()
        cache.dec((read + written) / CACHE_TOKENS)
    prompt_tokens.inc(read)
    generation_tokens.inc(written)
    success.labels(**OWN, finished_reason=reason).inc()
    end_to_end.observe(time.perf_counter() - began)
    choice = {"index": 0, "logprobs": None, "finish_reason": reason}
    usage = {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}
    return {
        "id": f"cmpl-{hashlib.sha256(request.prompt.encode()).hexdigest()[:32]}",
        "object": "text_completion",
        "created": int(time.time()),
        "model": request.model,
        "choices": [{**choice, "text": text[: written * CHARACTERS_PER_TOKEN]}],
        "usage": usage,
    }


def answer(prompt: str) -> str:
    digest = hashlib.sha256(prompt.encode()).digest()
    agrees = digest[0] / 256 < AGREES
    said = "up" if "says up" in prompt else "down"
    return f"{said}. I agree, volume confirms it." if agrees else "flat. I see nothing in it."


def tokens(text: str) -> int:
    return max(1, len(text) // CHARACTERS_PER_TOKEN)


if __name__ == "__main__":
    port = int(os.environ.get("PORT", "8001"))
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", timeout_keep_alive=60)
