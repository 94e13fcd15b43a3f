"""API gateway: the one door. Names each request, knows who asks, and refuses who asks too often."""

from __future__ import annotations

import logging
import os
import time
from collections import OrderedDict
from typing import Any
from urllib.parse import quote, unquote

import httpx
import service
from fastapi import HTTPException, Request, Response
from starlette.requests import ClientDisconnect

from tradespan.recorders import business

BACKENDS = {
    "users": os.environ.get("USERS_URL", "http://127.0.0.1:8081"),
    "payments": os.environ.get("PAYMENT_URL", "http://127.0.0.1:8082"),
    "market": os.environ.get("MARKET_DATA_URL", "http://127.0.0.1:8083"),
    "trading": os.environ.get("TRADING_URL", "http://127.0.0.1:8084"),
}
OPEN = {("POST", "users", "accounts"), ("POST", "users", "sign-ins")}  # to everybody
PRO = {("GET", "trading", "signals")}  # to those who pay
RATE, BURST = 20.0, 15.0  # requests a second of one customer, and at once
REMEMBERED = 10_000  # customers
INTERNAL = "internal"
HIDDEN = {INTERNAL, ".", ".."}  # parts of a path that lead where customers may not go

log = logging.getLogger("gateway")
security = logging.getLogger("security.gateway")

stats = service.Counts()
app = service.application("gateway", stats, edge=True)
peers = httpx.AsyncClient(timeout=10.0)
allowances: OrderedDict[str, tuple[float, float]] = OrderedDict()


@app.get("/ready")
async def ready(response: Response) -> dict[str, bool]:
    """Whether every service behind it answers."""
    found = {}
    for name, url in BACKENDS.items():
        try:
            found[name] = (await peers.get(f"{url}/health")).is_success
        except httpx.HTTPError:
            found[name] = False
    response.status_code = 200 if all(found.values()) else 503
    return found


async def forward(path: str, request: Request) -> Response:
    """Hand a request to the service that it is for."""
    backend = request.url.path.split("/")[2]
    if HIDDEN & set(unquote(path).split("/")):
        raise HTTPException(404, "not for customers")
    stats.add("requests")
    token = request.headers.get("authorization", "").removeprefix("Bearer ")
    limit(token or str(request.client and request.client.host))
    try:
        body = await request.body()
    except ClientDisconnect as error:
        raise HTTPException(400, "the request broke off") from error
    what = (request.method, backend, path)
    if what not in OPEN:
        allow(what, await who(token))
    answer = await ask(
        backend,
        request.method,
        path,
        params=request.query_params,
        content=body,
        headers={"content-type": "application/json"},
    )
    return Response(
        answer.content,
        answer.status_code,
        {service.REQUEST_ID: service.request_id.get()},
        answer.headers.get("content-type"),
    )


for name in BACKENDS:
    app.add_api_route(f"/api/{name}/{{path:path}}", forward, methods=["GET", "POST", "DELETE"])


def limit(customer: str) -> None:
    """Refuse a customer who has used up what RATE and BURST allow."""
    now = time.monotonic()
    left, since = allowances.pop(customer, (BURST, now))
    left = min(BURST, left + (now - since) * RATE)
    allowances[customer] = (max(0.0, left - 1), now)
    if len(allowances) > REMEMBERED:
        allowances.popitem(last=False)
    if left < 1:
        business.rate_limited("client")
        stats.add("rate_limited")
        security.warning("a client is over its rate limit", extra={"limit_per_second": RATE})
        raise HTTPException(429, "too many requests", {"retry-after": "1"})


async def who(token: str) -> dict[str, Any]:
    """Who the token belongs to; refused where it is nobody's, or no longer."""
    answer = await ask("users", "POST", f"{INTERNAL}/introspect", json={"token": token})
    if answer.status_code != 200:
        raise HTTPException(503, "nobody can be identified now")
    found: dict[str, Any] = answer.json()
    if not found["active"]:
        refuse(401, "token", "the token is missing, unknown or has ended")
    service.user_id.set(found["user_id"])
    return found


def allow(what: tuple[str, str, str], customer: dict[str, Any]) -> None:
    """Refuse what the customer's plan does not contain."""
    if what in PRO and customer["plan"] != "pro":
        refuse(403, "permission", "the plan does not contain this")


def refuse(status: int, reason: str, why: str) -> None:
    business.authentication_failed(reason)
    stats.add(reason)
    security.warning("refused: %s", why, extra={"reason": reason})
    raise HTTPException(status, why)


async def ask(backend: str, method: str, path: str, **options: Any) -> httpx.Response:
    headers = {**options.pop("headers", {}), **service.ids()}
    try:
        return await peers.request(
            method, f"{BACKENDS[backend]}/{quote(path)}", headers=headers, **options
        )
    except httpx.TimeoutException as error:
        log.error("%s does not answer in time", backend)
        raise HTTPException(504, f"{backend} does not answer in time") from error
    except httpx.HTTPError as error:
        log.error("%s does not answer: %r", backend, error)
        raise HTTPException(502, f"{backend} does not answer") from error


if __name__ == "__main__":
    business.open()
    service.serve(app, 8080)
