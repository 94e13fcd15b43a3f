"""A FastAPI service in the shape users have: module-level app, background thread and task."""

import asyncio
import os
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import ledger
import steps
import uvicorn
from fastapi import FastAPI

import tradespan


async def task() -> None:
    while True:
        await steps.once_async()


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    threading.Thread(target=steps.for_ever, daemon=True).start()
    running = asyncio.create_task(task())
    yield
    running.cancel()


app = FastAPI(lifespan=lifespan)


@app.post("/assess")
def assess() -> dict[str, str]:
    with tradespan.risk() as risk:
        steps.log.info("risk of %s", risk.signal_id)
        risk.approve(score=0.2, level="low")
    ledger.ended(risk.signal_id, "risk")
    return {"decision": "APPROVE"}


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(os.environ["PORT"]), log_level="warning")
