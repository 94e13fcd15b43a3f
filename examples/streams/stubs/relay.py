"""A stand-in for another team's program between the streams; its faults are what it is for.

It decides on LINK-USD, always "hold". It knows OpenTelemetry, but not tradespan: it passes on what
came, under a span of its own. Now and then it forgets that, cuts a field short or stuffs it.
"""

import itertools
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

import redis
import uvicorn
from fastapi import FastAPI
from opentelemetry import propagate, trace
from opentelemetry.sdk.trace import TracerProvider

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import bus

OURS = "LINK-USD"
FAULTS = {2: "missing", 4: "malformed", 6: "oversized"}  # by turns of eight

app = FastAPI(title="stand-in for another team's relay")
tracer = TracerProvider(shutdown_on_exit=False).get_tracer("relay")
stats = {"missing": 0, "malformed": 0, "oversized": 0, "passed_on": 0}


@app.get("/stats")
def get_stats() -> dict[str, int]:
    return stats


def passed_on(fields: dict[str, str]) -> dict[str, str]:
    """The context that came, with a span of this program as the parent."""
    context = propagate.extract(fields)
    carried: dict[str, str] = {}
    propagate.inject(
        carried, trace.set_span_in_context(tracer.start_span("relay", context), context)
    )
    return carried


def spoiled(carried: dict[str, str], fault: str) -> dict[str, str]:
    """The context as a faulty program hands it on."""
    if fault == "missing":
        return {}
    if fault == "malformed":
        return {**carried, "traceparent": carried.get("traceparent", "")[:32]}
    if fault == "oversized":
        return {**carried, "baggage": carried.get("baggage", "") + ",portfolio=" + "x" * 9000}
    return carried


def run() -> None:
    turns = itertools.count()
    while True:
        try:
            group = bus.Group(bus.connect(), bus.TICKS, "relay")
            while True:
                for entry, fields, _ in group.read():
                    if fields["symbol"] == OURS:
                        fault = FAULTS.get(next(turns) % 8, "passed_on")
                        pass_on(group.client, entry, fields, fault)
                    group.done(entry)
        except redis.ConnectionError:  # it starts before Redis is there, and ends with it
            time.sleep(0.1)


def pass_on(client: redis.Redis, entry: str, fields: dict[str, Any], fault: str) -> None:
    decision = {"id": entry, "symbol": OURS, "action": "hold", "price": fields["price"]}
    bus.write(client, bus.DECISIONS, {**decision, **spoiled(passed_on(fields), fault)})
    stats[fault] += 1


if __name__ == "__main__":
    threading.Thread(target=run, daemon=True).start()
    port = int(os.environ.get("PORT", "8014"))
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")
