"""A client library that calls the addresses of CALLS (JSON), each in a stage of its own.

Names resolve to loopback, as if exchange.example.com stood there. With CONFIGURE set the library is
imported before tradespan.configure(), as in a service that is not started by the launcher.
"""

import asyncio
import json
import os
import socket
import sys
import time
from typing import Any

resolve = socket.getaddrinfo


def loopback(host: Any, *args: Any, **kwargs: Any) -> Any:
    return resolve("127.0.0.1", *args, **kwargs)


socket.getaddrinfo = loopback
library = sys.argv[1]

if library in ("httpx", "httpx-async"):
    import httpx
elif library == "requests":
    import requests
else:
    import aiohttp

import tradespan  # noqa: E402 - the client library came first

if os.environ.get("CONFIGURE"):
    tradespan.configure()

OWN = {"X-Own": "kept"}


def call(url: str) -> int:
    if library == "httpx":
        with httpx.Client(follow_redirects=True) as client:
            return client.get(url, headers=OWN).status_code
    return requests.get(url, headers=OWN, timeout=20).status_code


async def call_async(url: str) -> int:
    if library == "httpx-async":
        async with httpx.AsyncClient(follow_redirects=True) as client:
            return (await client.get(url, headers=OWN)).status_code
    async with aiohttp.ClientSession(trust_env=True) as client:  # nothing injects but the service
        async with client.get(url, headers=tradespan.inject(OWN)) as response:
            return response.status


for url in json.loads(os.environ["CALLS"]):
    with tradespan.signal(symbol="BTC-USD") as signal:
        time.sleep(0.001)
        plain = library in ("httpx", "requests")
        status = call(url) if plain else asyncio.run(call_async(url))
        print(json.dumps([url, signal.signal_id, status]))
