"""Decider: asks two model servers about each tick and writes `trader:decisions`.

A small model on llama.cpp looks at every tick; what it would trade, a larger one on vLLM has to
confirm. Metrics on two pages: /metrics is prometheus-fastapi-instrumentator's where that is
installed, /monitoring/metrics is ours.
"""

import logging
import math
import os
import threading
import time

import bus
import httpx
import uvicorn
from fastapi import FastAPI

import tradespan
from tradespan.export import endpoints
from tradespan.handoffs import redis as queues
from tradespan.recorders import streams

logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
logging.getLogger("httpx").setLevel(logging.WARNING)
log = logging.getLogger("decider")

LLAMA_CPP_URL = os.environ.get("LLAMA_CPP_URL", "http://127.0.0.1:9091")
VLLM_URL = os.environ.get("VLLM_URL", "http://127.0.0.1:8001")
SMALL, LARGE = "llama-3.2-3b-instruct", "meta-llama/Llama-3.1-8B-Instruct"
GROUP = "deciders"
NOT_OURS = {"LINK-USD"}  # an older program decides on it, see stubs/relay.py
NEXT = {  # what a view means for who is short (-1), flat (0) or long (1)
    "up": {-1: "cover", 0: "buy", 1: "hold"},
    "down": {-1: "hold", 0: "short", 1: "sell"},
}
THEN = {"buy": 1, "short": -1, "sell": 0, "cover": 0}

app = FastAPI(title="decider")
app.mount("/monitoring", endpoints.asgi_app())
try:
    from prometheus_fastapi_instrumentator import Instrumentator
except ImportError:
    pass
else:
    Instrumentator().instrument(app).expose(app)

models = httpx.Client(timeout=10.0)
held: dict[str, int] = {}
stats = {"buy": 0, "sell": 0, "hold": 0, "short": 0, "cover": 0, "asked": 0, "confirmed": 0}


@app.get("/health")
def health() -> dict[str, str]:
    return {"status": "ok"}


@app.get("/stats")
def get_stats() -> dict[str, int]:
    return stats


def ask_llama_cpp(prompt: str) -> str:
    with streams.inference(SMALL):
        body = {"prompt": prompt, "n_predict": 64}
        answer = models.post(f"{LLAMA_CPP_URL}/completion", json=body).raise_for_status().json()
    stats["asked"] += 1
    return view_of(answer["content"])


def ask_vllm(prompt: str) -> str:
    with streams.inference(LARGE):
        body = {"model": LARGE, "prompt": prompt, "max_tokens": 64}
        answer = models.post(f"{VLLM_URL}/v1/completions", json=body).raise_for_status().json()
    stats["confirmed"] += 1
    return view_of(answer["choices"][0]["text"])


def view_of(text: str) -> str:
    """The first word of an answer that is a view; no view is `flat`."""
    words = (word.strip(".,:").lower() for word in text.split())
    return next((word for word in words if word in NEXT), "flat")


def decide(symbol: str, price: float) -> str:
    """One of buy, sell, hold, short and cover."""
    if not math.isfinite(price):
        return "hold"
    prompt = f"{symbol} trades at {price}. Is the next move up, down or flat? Answer and say why."
    view = ask_llama_cpp(prompt)
    if view == "flat" or ask_vllm(f"A colleague says {view}. {prompt}") == "flat":
        return "hold"
    return NEXT[view][held.get(symbol, 0)]


def process(entry: str, fields: dict[str, str], attempt: int) -> None:
    """Decide on one tick. Raises if a model does not answer, to be delivered again."""
    symbol, price = fields["symbol"], float(fields["price"])
    if symbol in NOT_OURS:
        return
    with tradespan.stage("decision", carrier=fields, attempt=attempt, symbol=symbol) as d:
        action = decide(symbol, price)
        d.set(decision=action, price=price)
        decision = {"id": entry, "symbol": symbol, "action": action, "price": fields["price"]}
        bus.write(group.client, bus.DECISIONS, tradespan.inject(decision))
    streams.decision(bus.DECISIONS, action)
    if action != "hold":
        log.info("%s %s at %s", action, symbol, price)
    held[symbol] = THEN.get(action, held.get(symbol, 0))
    stats[action] += 1


def consume() -> None:
    while True:
        try:
            for entry, fields, attempt in group.read():
                process(entry, fields, attempt)
                group.done(entry)
        except Exception:
            log.exception("a tick stays undecided")
            time.sleep(0.5)


if __name__ == "__main__":
    group = bus.Group(bus.connect(), bus.TICKS, GROUP)
    streams.open(streams=[bus.DECISIONS])
    queues.watch(bus.TICKS, GROUP, interval=1.0)
    threading.Thread(target=consume, daemon=True).start()
    port = int(os.environ.get("PORT", "8000"))
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", timeout_graceful_shutdown=5)
