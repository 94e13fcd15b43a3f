"""A FastAPI service with metrics of its own, the instrumentator's and, mounted, ours."""

import os

from fastapi import FastAPI
from prometheus_client import Counter
from prometheus_fastapi_instrumentator import Instrumentator

import tradespan
from tradespan.export import endpoints

app = FastAPI()
Instrumentator().instrument(app).expose(app)  # its /metrics, beside ours
app.mount("/monitoring", endpoints.asgi_app())
ORDERS = Counter("desk_orders", "The desk's own.", ["side"])
ASSESSED = Counter("risk_assessments", "The application's own, of a name that is ours too.")


@app.get("/assess")
def assess() -> int:
    """One rejected stage, and which process it was in."""
    with tradespan.risk() as risk:
        risk.reject("too big", score=0.9, level="high")
    ORDERS.labels("buy").inc()
    ASSESSED.inc()
    return os.getpid()
