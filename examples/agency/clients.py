"""The customers: a crowd with a seed, in the app that the agency gives them.

POST /pause lets everybody finish and nobody in, /resume goes on.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import service
from customer import Customer, closing, open_door, stats, visiting
from fastapi import FastAPI

GATEWAY = os.environ.get("GATEWAY_URL", "http://127.0.0.1:8080")
AT_ONCE = 2  # customers
GRACE = 3.0  # seconds to finish a request


@asynccontextmanager
async def crowd(_: FastAPI) -> AsyncIterator[None]:
    """Everybody, from the moment that the services are there until we are told to stop."""
    async with httpx.AsyncClient(base_url=GATEWAY, timeout=30.0) as http:
        tasks = [asyncio.create_task(Customer(n, http).live()) for n in range(AT_ONCE)]
        opening = asyncio.create_task(open_when_ready(http))
        yield
        closing.set()
        opening.cancel()
        late = (await asyncio.wait(tasks, timeout=GRACE if open_door.is_set() else 0))[1]
        for task in late:
            task.cancel()


async def open_when_ready(http: httpx.AsyncClient) -> None:
    while not open_door.is_set():
        try:
            if (await http.get("/ready")).is_success:
                open_door.set()
        except httpx.HTTPError:
            pass  # it is not there yet
        await asyncio.sleep(0.1)


app = service.application("clients", stats, edge=True)
app.router.lifespan_context = crowd


@app.post("/pause")
async def pause() -> dict[str, bool]:
    """Let nobody in, and wait until everybody has left."""
    open_door.clear()
    while visiting:
        await asyncio.sleep(0.02)
    return {"paused": True}


@app.post("/resume")
async def resume() -> dict[str, bool]:
    open_door.set()
    return {"paused": False}


if __name__ == "__main__":
    service.serve(app, 8085)
