"""Calls to named hosts by any of Python's usual clients: latency, and a model's tokens.

Tokens are read from answers to httpx, requests and aiohttp.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any, Final, NamedTuple
from urllib.parse import urljoin, urlsplit

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
_Asked = Callable[[Any, Any, Any], object]
_current: ContextVar[_Timed | None] = ContextVar("tradespan-host-call", default=None)


class Hosts:
    """The mapped hosts of this service."""

    def __init__(self) -> None:
        self._mapped: list[tuple[str, Call, bool, Callable[[], None]]] = []
        self._found: list[Callable[[], None]] = []

    def add(
        self,
        host: str,
        timed: Call,
        model: bool,
        found: Callable[[], None],
        fired: Callable[[], None],
    ) -> None:
        """Time the calls to a host.

        Arguments:
            host: HOST or HOST:PORT, patterns too.
            timed: the metric.
            model: whether answers tell of tokens.
            found: is told when a client is there.
            fired: is told each call.
        """
        self._mapped.append((host.lower(), timed, model, fired))
        self._found.append(found)
        if model:
            warm()

    def install(self) -> None:
        """Put the hooks into the clients as each is imported."""
        for client in _CLIENTS:
            wrapt.register_post_import_hook(self._imported, client)

    def _imported(self, module: Any) -> None:
        with _HOOK:
            for way in _CLIENTS[module.__name__]:
                wrapt.wrap_function_wrapper(module, way.method, self._around(way))
            for found in self._found:
                found()

    def _around(self, way: _Way) -> Callable[..., Any]:
        def send(wrapped: Callable[..., Any], client: Any, args: Any, kwargs: Any) -> Any:
            with self._timed(way.url, client, args, kwargs) as one:
                return way.answered(one, wrapped(*args, **kwargs))

        async def asend(wrapped: Callable[..., Any], client: Any, args: Any, kwargs: Any) -> Any:
            with self._timed(way.url, client, args, kwargs) as one:
                return way.answered(one, await wrapped(*args, **kwargs))

        return asend if way.awaited else send

    def _timed(self, asked: _Asked, client: Any, args: Any, kwargs: Any) -> _Timed:
        with _HOOK:
            outer = _current.get()
            if outer is not None and outer.open:  # a redirect, or the client below a client
                return _Timed(None)
            if context.get_value(_SUPPRESS_INSTRUMENTATION_KEY):  # telemetry on its own way out
                return _Timed(None)
            url = urlsplit(str(asked(client, args, kwargs)))
            host, port = (url.hostname or "").lower(), url.port or _port(url.scheme)
            for pattern, timed, model, fired in self._mapped:
                name, wanted = _split(pattern)
                if fnmatchcase(host, name) and wanted in ("", "*", str(port)):
                    fired()
                    return _Timed(timed.fresh(), f"{url.scheme}://{host}:{port}" if model else "")
        return _Timed(None)


class _Timed:
    """One call to a host, mapped or not.

    Attributes:
        open: whether it goes on; what its client does meanwhile, by itself, is part of it.
    """

    def __init__(self, timed: Call | None, url: str = "") -> None:
        self._call, self._url = timed, url
        self._began = time.perf_counter()
        self.open = timed is not None

    def __enter__(self) -> _Timed:
        if self._call is not None:
            _current.set(self)
            self._call.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.open = False
        if self._call is not None:
            self._call.end()

    def answered_unsaid(self, response: Any) -> Any:
        """The answer, of which nothing is read."""
        return response

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


def _sent(_: Any, args: Any, kwargs: Any) -> object:
    """The URL of the request that httpx and requests send."""
    return (kwargs.get("request") or args[0]).url


def _built(session: Any, args: Any, kwargs: Any) -> object:
    """The URL that aiohttp makes of the session's base and the call's own."""
    return session._build_url(kwargs["str_or_url"] if "str_or_url" in kwargs else args[1])


def _given(_: Any, args: Any, kwargs: Any) -> object:
    """The URL that urllib3 is asked for."""
    return kwargs["url"] if "url" in kwargs else args[1]


def _of_pool(pool: Any, args: Any, kwargs: Any) -> object:
    """The URL of a path that a pool of urllib3, which has one host, is asked for."""
    here = f"[{pool.host}]" if ":" in pool.host else pool.host
    return urljoin(f"{pool.scheme}://{here}:{pool.port or ''}", str(_given(pool, args, kwargs)))


def _opened(_: Any, args: Any, kwargs: Any) -> object:
    """The URL, or that of the request, which urllib opens."""
    request = kwargs["fullurl"] if "fullurl" in kwargs else args[0]
    return getattr(request, "full_url", request)


class _Way(NamedTuple):
    """A method by which a client sends a request."""

    method: str
    url: _Asked
    answered: Callable[[_Timed, Any], Any] = _Timed.answered_unsaid
    awaited: bool = False


_HTTPX = (
    _Way("Client.send", _sent, _Timed.answered),
    _Way("AsyncClient.send", _sent, _Timed.answered, awaited=True),
)
_CLIENTS: Final[dict[str, tuple[_Way, ...]]] = {
    "httpx": _HTTPX,
    "httpx2": _HTTPX,
    "requests.sessions": (_Way("Session.send", _sent, _Timed.answered),),
    "aiohttp.client": (
        _Way("ClientSession._request", _built, _Timed.answered_unread, awaited=True),
    ),
    "urllib3.poolmanager": (
        _Way("PoolManager.urlopen", _given),
        _Way("HTTPConnectionPool.urlopen", _of_pool),
    ),
    "urllib.request": (_Way("OpenerDirector.open", _opened),),
}


def _split(pattern: str) -> tuple[str, str]:
    """Name and port of HOST, HOST:PORT or [ADDRESS]:PORT."""
    name, bracket, rest = pattern.rpartition("]")
    host, _, port = rest.partition(":")
    return (name.strip("[") if bracket else host), port


def _port(scheme: str) -> int:
    return 443 if scheme == "https" else 80
