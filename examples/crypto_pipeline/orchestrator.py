"""Orchestrator: leads each signal from the stream through validation and risk to a row.

An entry is acknowledged when its signal is decided. One that was not (this program died, or a peer
did not answer) is delivered again, at most DELIVERIES times in all.
"""

import json
import logging
import os
import socket
import threading
import time
from typing import Any

import database
import httpx
import redis
import uvicorn
from fastapi import FastAPI
from ledger import note
from ports import HOST, service_port

import tradespan

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


def decide(signal: dict[str, Any], db: database.Database) -> str | None:
    """Have the signal validated and its risk assessed; why it is rejected, or None and a row."""
    verdict = ask(f"{LLM_URL}/validate-recommendation", signal)
    if verdict["decision"] != "APPROVE":
        return f"validation: {verdict['reason']}"
    order = {**signal, "quantity": ORDER_SIZE, "llm_confidence": verdict["confidence"]}
    assessment = ask(f"{RISK_URL}/assess", order)
    if assessment["decision"] != "APPROVE":
        return f"risk: {assessment['reason']}"
    journey = tradespan.inject({})
    db.recommend(
        {
            **{key: signal[key] for key in ("signal_id", "symbol", "side", "price")},
            "quantity": assessment["quantity"],
            "traceparent": journey.get("traceparent", ""),
            "baggage": journey.get("baggage", ""),
        }
    )
    return None


def process(fields: dict[str, str], attempt: int, db: database.Database) -> None:
    """Decide one entry of the stream. Raises if a peer does not answer, to be delivered again."""
    outcome, signal_id = "error", ""
    try:
        with tradespan.orchestration(carrier=fields, attempt=attempt) as o:
            try:
                signal = json.loads(fields["payload"])
                signal_id = str(signal["signal_id"])
                o.set(symbol=signal["symbol"], side=signal["side"])
                reason = decide(signal, db)
            except (KeyError, TypeError, ValueError) as error:
                reason = f"unreadable entry or answer: {error!r}"
            except httpx.HTTPError as error:
                if attempt < DELIVERIES:
                    raise
                reason = f"no answer after {attempt} deliveries: {error!r}"
            if reason is None:
                o.approve()
                log.info("%s %s approved", signal["side"], signal["symbol"])
            else:
                o.reject(reason)
                log.info("rejected, %s", reason)
            outcome = "ok" if reason is None else "rejected"
    finally:
        note("orchestrator", "orchestration", signal_id, outcome)
    stats["approved" if reason is None else "rejected"] += 1


def new_entries(stream: redis.Redis) -> list[tuple[str, dict[str, str], int]]:
    """Entries that nobody has seen; waits a little for one."""
    # A real Redis waits for BLOCK; the embedded one answers at once when COUNT is given too.
    answer: Any = stream.xreadgroup(GROUP, CONSUMER, {STREAM: ">"}, count=BATCH, block=100)
    if not answer:
        time.sleep(0.005)
    return [(entry, fields, 1) for _, entries in answer for entry, fields in entries]


def old_entries(stream: redis.Redis, idle: float) -> list[tuple[str, dict[str, str], int]]:
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


def cycle(
    stream: redis.Redis, entries: list[tuple[str, dict[str, str], int]], db: database.Database
) -> None:
    """Process a batch; what is decided is acknowledged."""
    with tradespan.call("orchestrator_cycle"):
        for left, (entry, fields, attempt) in enumerate(entries):
            tradespan.value("pending_recommendations_queue_size", len(entries) - left)
            try:
                process(fields, attempt, db)
            except httpx.HTTPError as error:
                log.warning("entry %s stays pending: %r", entry, error)
                stats["failed"] += 1
                continue
            stream.xack(STREAM, GROUP, entry)
            stats["processed"] += 1
        tradespan.value("pending_recommendations_queue_size", 0)


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


def wait_for(url: str) -> None:
    """Wait until a peer takes connections; one that still starts must not cost a delivery."""
    peer = httpx.URL(url)
    while True:
        try:
            socket.create_connection((peer.host, peer.port or 80), timeout=1.0).close()
        except OSError:
            time.sleep(0.1)
        else:
            return


def consume(stream: redis.Redis, db: database.Database) -> None:
    """Read the stream for ever; first what an earlier run of this program left undecided."""
    for peer in (LLM_URL, RISK_URL):
        wait_for(peer)
    idle, looked = 0.0, -RETRY_AFTER
    while True:
        try:
            if time.monotonic() - looked >= RETRY_AFTER:
                entries = old_entries(stream, idle)
                idle, looked = RETRY_AFTER, time.monotonic()
            else:
                entries = new_entries(stream)
            if entries:
                cycle(stream, entries, db)
        except Exception:
            log.exception("the cycle failed")
            time.sleep(1.0)


if __name__ == "__main__":
    joined = connect(), database.from_environment()
    threading.Thread(target=consume, args=joined, daemon=True).start()
    port = service_port(8023)
    uvicorn.run(app, host=HOST, port=port, log_level="warning", timeout_graceful_shutdown=5)
