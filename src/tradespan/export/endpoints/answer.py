"""What is answered at /metrics and /health, over our own port and inside an ASGI application."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import os
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple
from urllib.parse import parse_qs

from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric

from tradespan import guard as guards
from tradespan.export.endpoints import health
from tradespan.export.endpoints.scrape import BlockedError

log = logging.getLogger("tradespan")

Families = Callable[[], list[Metric]]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_PLAIN = ("Content-Type", "text/plain; charset=utf-8")
_THREADS = 4  # of a mounted endpoint; those who wait for a blocked collection take no others


class Answer(NamedTuple):
    """One HTTP response."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


def refusal(status: int, why: str) -> Answer:
    """The answer to what is no GET (501 of http.server, which knows no other way), or no HTTP."""
    if status in (405, 501):
        return Answer(405, [_PLAIN, ("Allow", "GET, HEAD")], b"GET only\n")
    return Answer(status, [_PLAIN], f"{why}\n".encode("utf-8", "replace"))


class _Collected:
    """Families as the encoders of prometheus_client take them."""

    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> list[Metric]:
        """The families."""
        return self._families


def answer(path: str, query: str, headers: Mapping[str, str], families: Families) -> Answer:
    """Answer a GET. Never raises.

    Arguments:
        path: the last part of it says what is asked; an empty one asks for the metrics.
        query: of the URL; `name[]` restricts the metrics.
        headers: of the request, by lower-case name.
        families: collects the metrics.
    """
    try:
        last = path.rstrip("/").rpartition("/")[2]
        if last == "health":
            return _health()
        if last in ("", "metrics"):
            return _metrics(parse_qs(query).get("name[]", ()), headers, families)
    except BlockedError as blocked:
        return Answer(503, [_PLAIN], f"{blocked}\n".encode())
    except Exception as error:
        guards.failed("endpoints.answer", error)
        return Answer(500, [_PLAIN], f"telemetry failed: {type(error).__name__}\n".encode())
    return Answer(404, [_PLAIN], b"there are /metrics and /health\n")


def _metrics(names: Any, headers: Mapping[str, str], families: Families) -> Answer:
    health.look()
    encode, kind = choose_encoder(headers.get("accept", ""))
    found = families()
    if names:
        found = [m for m in found if m.name in names or any(s.name in names for s in m.samples)]
    body = encode(_Collected(found))
    told = [("Content-Type", kind)]
    if "gzip" in headers.get("accept-encoding", ""):
        body = gzip.compress(body, compresslevel=1)
        told.append(("Content-Encoding", "gzip"))
    return Answer(200, told, body)


def _health() -> Answer:
    body = json.dumps(health.report(), default=str, indent=1).encode() + b"\n"
    headers = [("Content-Type", "application/json"), ("Cache-Control", "no-store")]
    return Answer(200, headers, body)  # 200 in trouble too: nobody shall restart a service for it


class ASGIEndpoints:
    """An ASGI application with /metrics and /health, to be mounted in the service's own.

    Arguments:
        families: collects the metrics; in a thread of our own, so that the service's loop goes on,
            and its own threads are left to it.
    """

    def __init__(self, families: Families) -> None:
        self._families = families
        self._begin_anew()
        if hasattr(os, "register_at_fork"):  # not on Windows
            os.register_at_fork(after_in_child=self._begin_anew)

    def _begin_anew(self) -> None:
        """After a fork: the threads were the parent's. None runs before the first request."""
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="tradespan-endpoints")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Answer one request."""
        if scope["type"] != "http":
            return
        reply = refusal(405, "")
        if scope["method"] in ("GET", "HEAD"):
            path = scope["path"].removeprefix(scope.get("root_path", ""))
            query = scope.get("query_string", b"").decode("latin-1")
            headers = {k.decode("latin-1"): v.decode("latin-1") for k, v in scope["headers"]}
            reply = await asyncio.get_running_loop().run_in_executor(
                self._threads, answer, path, query, headers, self._families
            )
        told = [(k.lower().encode(), v.encode()) for k, v in reply.headers]
        told.append((b"content-length", str(len(reply.body)).encode()))
        body = b"" if scope["method"] == "HEAD" else reply.body
        await send({"type": "http.response.start", "status": reply.status, "headers": told})
        await send({"type": "http.response.body", "body": body})
