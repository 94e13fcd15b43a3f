"""What every service here has: health, counts, faults for drills, and who a log line is about.

POST /settings with {"latency_ms": 800, "error_rate": 0.05} makes a running service slow, or fail.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import uuid
from collections import Counter
from contextvars import ContextVar
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel, Field
from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

HOST = "127.0.0.1"
INTERVAL = float(os.environ.get("INTERVAL_MS", "1000")) / 1000  # seconds between two rounds
REQUEST_ID, USER_ID = "x-request-id", "x-user-id"
SPARED = {"/health", "/ready", "/stats", "/settings", "/pause", "/resume", "/feed"}

request_id: ContextVar[str] = ContextVar("request_id", default="")
user_id: ContextVar[str] = ContextVar("user_id", default="")

log = logging.getLogger("drill")


class Settings(BaseModel):
    """Faults that a service commits on request, spread evenly over its requests."""

    latency_ms: float = Field(default=0.0, ge=0)
    error_rate: float = Field(default=0.0, ge=0, le=1)


class Surroundings:
    """Middleware: notes whose request it is, and commits the faults.

    Arguments:
        app: what is inside.
        state: of the service, with its settings.
        edge: whether requests come from outside, so that their ids are made here.
    """

    def __init__(self, app: ASGIApp, state: Any, edge: bool) -> None:
        self._app, self._state, self._edge = app, state, edge
        self._requests = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in SPARED:
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        request_id.set("" if self._edge else headers.get(REQUEST_ID, ""))
        user_id.set("" if self._edge else headers.get(USER_ID, ""))
        if not request_id.get():
            request_id.set(uuid.uuid4().hex[:12])
        settings: Settings = self._state.settings
        self._requests += 1
        fails = falls_on(self._requests, settings.error_rate)
        if settings.latency_ms:
            await asyncio.sleep(settings.latency_ms / 1000)
        if fails:
            log.error("a fault as the settings ask for", extra={"error_rate": settings.error_rate})
            failed = JSONResponse({"detail": "fault on request"}, 500)
            await failed(scope, receive, send)
            return
        await self._app(scope, receive, send)


class Counts:
    """What a service has counted, for /stats; safe for threads.

    Arguments:
        known: what stands there from the beginning.
    """

    def __init__(self, *known: str) -> None:
        self._counted: Counter[str] = Counter(dict.fromkeys(known, 0))
        self._lock = threading.Lock()

    def add(self, what: str, number: int = 1) -> None:
        with self._lock:
            self._counted[what] += number

    def __getitem__(self, what: str) -> int:
        return self._counted[what]

    def all(self) -> dict[str, int]:
        with self._lock:
            return dict(self._counted)


def falls_on(number: int, rate: float) -> bool:
    """Whether a share falls on this number of a sequence, evenly."""
    return int(number * rate) > int((number - 1) * rate)


def application(name: str, stats: Counts, *, edge: bool = False) -> FastAPI:
    """An application with /health, /stats and /settings, and its logging set up."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    logging.setLogRecordFactory(_record)
    app = FastAPI(title=name)
    app.state.settings = Settings()
    app.add_middleware(Surroundings, state=app.state, edge=edge)

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/stats")
    async def get_stats() -> dict[str, int]:
        return stats.all()

    @app.post("/settings")
    async def change(body: dict[str, float]) -> Settings:
        app.state.settings = Settings(**{**app.state.settings.model_dump(), **body})
        changed: Settings = app.state.settings
        return changed

    return app


def ids() -> dict[str, str]:
    """Headers that tell another service whose request this is."""
    known = {REQUEST_ID: request_id.get(), USER_ID: user_id.get()}
    return {key: value for key, value in known.items() if value}


def peer(url: str, timeout: float = 10.0) -> httpx.Client:
    """A client of another service, which is told whose request it serves."""

    def tell(request: httpx.Request) -> None:
        request.headers.update(ids())

    return httpx.Client(base_url=url, timeout=timeout, event_hooks={"request": [tell]})


def serve(app: FastAPI, usual: int) -> None:
    """Serve until SIGTERM, on PORT or the usual port."""
    uvicorn.run(
        app,
        host=HOST,
        port=int(os.environ.get("PORT", usual)),
        log_level="warning",
        access_log=False,
        timeout_keep_alive=30,  # longer than its clients keep an idle connection
        timeout_graceful_shutdown=5,
    )


def _record(*args: Any, **kwargs: Any) -> logging.LogRecord:
    record = logging.LogRecord(*args, **kwargs)
    if request_id.get():
        record.request_id = request_id.get()
    if user_id.get():
        record.user_id = user_id.get()
    return record
