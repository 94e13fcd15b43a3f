"""Orchestrator: leads each signal from the stream through validation and risk to a row.

It is strict: an entry with a field that it does not know is rejected. What a peer does not answer
stays pending and is delivered again, at most DELIVERIES times in all.
"""

import json
import logging
import os
import threading
import time
from typing import Any

import httpx
import redis
import store
import uvicorn
from fastapi import FastAPI

logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
logging.getLogger("httpx").setLevel(logging.WARNING)
log = logging.getLogger("orchestrator")

STREAM = os.environ.get("SIGNALS_STREAM", "signals")
GROUP, CONSUMER = "orchestrators", "orchestrator-1"
LLM_URL = os.environ.get("LLM_URL", "http://127.0.0.1:8050")
RISK_URL = os.environ.get("RISK_URL", "http://127.0.0.1:8027")
ORDER_SIZE = 0.005  # BTC
BATCH, OLD = 10, 1000  # entries read at once, new and undecided ones
DELIVERIES = 3
RETRY_AFTER = 2.0  # seconds

Entry = tuple[str, dict[str, str], int]  # id, fields, number of this delivery

app = FastAPI(title="orchestrator")
stats = {"processed": 0, "approved": 0, "rejected": 0, "failed": 0, "redelivered": 0}
peers = httpx.Client(timeout=10.0)


@app.get("/health")
def health() -> dict[str, str]:
    return {"status": "ok"}


@app.get("/stats")
def get_stats() -> dict[str, int]:
    return stats


def ask(url: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = peers.post(url, json=body)
    if answer.is_client_error:
        raise ValueError(f"{url} does not understand it: {answer.text[:200]}")
    found: dict[str, Any] = answer.raise_for_status().json()
    return found


def parse(fields: dict[str, str]) -> dict[str, Any]:
    unknown = sorted(set(fields) - {"payload"})
    if unknown:
        raise ValueError(f"unknown fields {', '.join(unknown)}")
    signal: dict[str, Any] = json.loads(fields["payload"])
    return signal


def save(signal: dict[str, Any], quantity: float, db: store.Database) -> int | None:
    """Write an approved trade; the number of its row."""
    values = {key: signal[key] for key in ("signal_id", "symbol", "side", "price")}
    return db.recommend({**values, "quantity": quantity})


def decide(signal: dict[str, Any], db: store.Database) -> dict[str, Any]:
    """Have the signal validated and its risk assessed; an approved one becomes a row."""
    known = {"symbol": signal["symbol"], "side": signal["side"]}
    verdict = ask(f"{LLM_URL}/validate-recommendation", signal)
    if verdict["decision"] != "APPROVE":
        return {**known, "status": "rejected", "reason": f"validation: {verdict['reason']}"}
    order = {**signal, "quantity": ORDER_SIZE, "llm_confidence": verdict["confidence"]}
    assessment = ask(f"{RISK_URL}/assess", order)
    if assessment["decision"] != "APPROVE":
        return {**known, "status": "rejected", "reason": f"risk: {assessment['reason']}"}
    save(signal, assessment["quantity"], db)
    return {**known, "status": "approved"}


def process(fields: dict[str, str], attempt: int, db: store.Database) -> dict[str, Any]:
    """Decide one entry of the stream: approved, rejected, or error, to be delivered again."""
    try:
        result = decide(parse(fields), db)
    except (KeyError, TypeError, ValueError) as error:
        result = {"status": "rejected", "reason": f"unreadable entry or answer: {error!r}"}
    except httpx.HTTPError as error:
        status = "error" if attempt < DELIVERIES else "rejected"
        result = {"status": status, "reason": f"no answer, delivery {attempt}: {error!r}"}
    if result["status"] == "approved":
        log.info("%s %s approved", result["side"], result["symbol"])
    else:
        log.info("%s, %s", result["status"], result["reason"])
    return result


def fetch_new(stream: redis.Redis) -> list[Entry]:
    """Entries that nobody has seen; waits a little for one."""
    # A real Redis waits for BLOCK; the embedded one answers at once when COUNT is given too.
    answer: Any = stream.xreadgroup(GROUP, CONSUMER, {STREAM: ">"}, count=BATCH, block=100)
    if not answer:
        time.sleep(0.005)
    return [(entry, fields, 1) for _, entries in answer for entry, fields in entries]


def fetch_old(stream: redis.Redis, idle: float) -> list[Entry]:
    """Entries delivered more than `idle` seconds ago and never acknowledged, and how often."""
    ms = int(idle * 1000)
    claimed: Any = stream.xautoclaim(STREAM, GROUP, CONSUMER, ms, "0-0", count=OLD)
    entries = [(entry, fields) for entry, fields in claimed[1] if fields]
    if not entries:
        return []
    first, last = entries[0][0], entries[-1][0]
    pending: Any = stream.xpending_range(STREAM, GROUP, first, last, OLD, CONSUMER)
    times = {entry["message_id"]: int(entry["times_delivered"]) for entry in pending}
    stats["redelivered"] += len(entries)
    return [(entry, fields, times.get(entry, 2)) for entry, fields in entries]


def run_cycle(stream: redis.Redis, entries: list[Entry], db: store.Database) -> None:
    """Process a batch; what is decided is acknowledged."""
    for entry, fields, attempt in entries:
        result = process(fields, attempt, db)
        if result["status"] == "error":
            log.warning("entry %s stays pending: %s", entry, result["reason"])
            stats["failed"] += 1
            continue
        stream.xack(STREAM, GROUP, entry)
        stats["processed"] += 1
        stats[result["status"]] += 1


def connect() -> redis.Redis:
    # RESP2: its answers to stream commands have one shape in every version of the client.
    url = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0")
    stream: redis.Redis = redis.Redis.from_url(url, decode_responses=True, protocol=2)
    try:
        stream.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
    except redis.ResponseError as error:
        if "BUSYGROUP" not in str(error):
            raise
    return stream


def consume() -> None:
    """Read the stream for ever; first what an earlier run of this program left undecided."""
    stream, db = connect(), store.connect()
    idle, looked = 0.0, -RETRY_AFTER
    while True:
        try:
            if time.monotonic() - looked >= RETRY_AFTER:
                entries = fetch_old(stream, idle)
                idle, looked = RETRY_AFTER, time.monotonic()
            else:
                entries = fetch_new(stream)
            if entries:
                run_cycle(stream, entries, db)
        except Exception:
            log.exception("the cycle failed")
            time.sleep(1.0)


if __name__ == "__main__":
    threading.Thread(target=consume, daemon=True).start()
    port = int(os.environ.get("PORT", "8023"))
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", timeout_graceful_shutdown=5)
