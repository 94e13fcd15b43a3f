"""Calls to named hosts, through httpx, requests or aiohttp: latency, and a model's tokens."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import urlsplit

import wrapt
from opentelemetry import context
from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY

from tradespan.guard import guard
from tradespan.recorders import spending, usage
from tradespan.recorders.prices import warm
from tradespan.stages.calls import Call
from tradespan.stages.stage import current_stage

_HOOK = guard("mapping.hosts")
_LARGEST = 4_000_000  # bytes of an answer that is read for its usage


class Hosts:
    """The mapped hosts of this service."""

    def __init__(self) -> None:
        self._mapped: list[tuple[str, Call, bool, Callable[[], None]]] = []

    def add(self, host: str, timed: Call, model: bool, fired: Callable[[], None]) -> None:
        """Time the calls to a host.

        Arguments:
            host: HOST or HOST:PORT, patterns too.
            timed: the metric.
            model: whether answers tell of tokens.
            fired: is told each call.
        """
        self._mapped.append((host.lower(), timed, model, fired))
        if model:
            warm()

    def install(self) -> None:
        """Put the hooks into httpx, requests and aiohttp as each is imported."""
        for client in ("httpx", "httpx2"):
            wrapt.register_post_import_hook(self._hook_httpx, client)
        wrapt.register_post_import_hook(self._hook_requests, "requests.sessions")
        wrapt.register_post_import_hook(self._hook_aiohttp, "aiohttp.client")

    def _hook_httpx(self, module: Any) -> None:
        def send(wrapped: Callable[..., Any], _: Any, args: Any, kwargs: Any) -> Any:
            with self._timed(_sent, args, kwargs) as one:
                return one.answered(wrapped(*args, **kwargs))

        async def async_send(wrapped: Callable[..., Any], _: Any, args: Any, kwargs: Any) -> Any:
            with self._timed(_sent, args, kwargs) as one:
                return one.answered(await wrapped(*args, **kwargs))

        wrapt.wrap_function_wrapper(module, "Client.send", send)
        wrapt.wrap_function_wrapper(module, "AsyncClient.send", async_send)

    def _hook_requests(self, module: Any) -> None:
        def send(wrapped: Callable[..., Any], _: Any, args: Any, kwargs: Any) -> Any:
            with self._timed(_sent, args, kwargs) as one:
                return one.answered(wrapped(*args, **kwargs))

        wrapt.wrap_function_wrapper(module, "Session.send", send)

    def _hook_aiohttp(self, module: Any) -> None:
        async def send(wrapped: Callable[..., Any], session: Any, args: Any, kwargs: Any) -> Any:
            def asked(args: Any, kwargs: Any) -> object:
                return session._build_url(
                    kwargs["str_or_url"] if "str_or_url" in kwargs else args[1]
                )

            with self._timed(asked, args, kwargs) as one:
                return one.answered_unread(await wrapped(*args, **kwargs))

        wrapt.wrap_function_wrapper(module, "ClientSession._request", send)

    def _timed(self, asked: Callable[[Any, Any], object], args: Any, kwargs: Any) -> _Timed:
        with _HOOK:
            if context.get_value(_SUPPRESS_INSTRUMENTATION_KEY):  # telemetry on its own way out
                return _Timed(None)
            url = urlsplit(str(asked(args, kwargs)))
            host, port = (url.hostname or "").lower(), url.port or _port(url.scheme)
            for pattern, timed, model, fired in self._mapped:
                name, wanted = _split(pattern)
                if fnmatchcase(host, name) and wanted in ("", "*", str(port)):
                    fired()
                    return _Timed(timed.fresh(), f"{url.scheme}://{host}:{port}" if model else "")
        return _Timed(None)


class _Timed:
    """One call to a host, mapped or not."""

    def __init__(self, timed: Call | None, url: str = "") -> None:
        self._call, self._url = timed, url
        self._began = time.perf_counter()

    def __enter__(self) -> _Timed:
        if self._call is not None:
            self._call.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        if self._call is not None:
            self._call.end()

    def answered(self, response: Any) -> Any:
        """The answer; what it says of its usage goes to the stage, if all of it is there."""
        if self._url:
            with _HOOK:
                read = getattr(response, "is_closed", True)  # of httpx; requests has a _content
                if read and getattr(response, "_content", b"") is not False:
                    self._note(response.headers, response.content)
        return response

    def answered_unread(self, response: Any) -> Any:
        """The answer; what it says of its usage goes to the stage that reads all of it."""
        if self._url:
            with _HOOK:
                read, unread = response.read, True

                async def reading() -> Any:
                    nonlocal unread
                    body = await read()
                    first, unread = unread, False
                    if first:
                        with _HOOK:
                            self._note(response.headers, body)
                    return body

                response.read = reading
        return response

    def _note(self, headers: Mapping[str, str], body: bytes) -> None:
        kind = headers.get("content-type", "")
        if len(body) > _LARGEST or "json" not in kind:
            return
        last = body.strip().rpartition(b"\n")[2] if "ndjson" in kind else body  # as Ollama streams
        used = usage.read(json.loads(last))
        if used is not None:  # a retried call costs too
            seconds = time.perf_counter() - self._began if used.seconds is None else used.seconds
            spending.note(current_stage(), replace(used, url=self._url, seconds=seconds))


def _sent(args: Any, kwargs: Any) -> object:
    """The URL of the request that httpx and requests send."""
    return (kwargs.get("request") or args[0]).url


def _split(pattern: str) -> tuple[str, str]:
    """Name and port of HOST, HOST:PORT or [ADDRESS]:PORT."""
    name, bracket, rest = pattern.rpartition("]")
    host, _, port = rest.partition(":")
    return (name.strip("[") if bracket else host), port


def _port(scheme: str) -> int:
    return 443 if scheme == "https" else 80
