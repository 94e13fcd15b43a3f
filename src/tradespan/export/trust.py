"""Who may receive our context: trace context and ids leave only to trusted hosts.

The hooks sit in the innermost layer of each HTTP client, so that they work whatever was
instrumented first, whether the trace is sampled or not, and for each hop of a redirect.
"""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import urlsplit

import wrapt
from opentelemetry import propagate

from tradespan import settings as setting
from tradespan.export.timing import HEADER, note_remote
from tradespan.guard import guard

_PRIVATE = [
    ipaddress.ip_network(net)
    for net in (
        "127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10",
        "::1/128", "fc00::/7", "fe80::/10",
    )
]  # fmt: skip
_SUFFIXES = (".svc", ".svc.cluster.local", ".internal", ".localhost")
_HOOK = guard("trust.hook")


def trusted(host: str, to: Iterable[str] = (), never: Iterable[str] = ()) -> bool:
    """Whether a host may receive trace context and ids.

    Arguments:
        host: name or address, as the client call has it.
        to: patterns that may, beside loopback, private ranges, single-label names, *.svc,
            *.svc.cluster.local and *.internal.
        never: patterns that may not; they win.
    """
    host = host.strip("[]").rstrip(".").lower()
    if not host or any(fnmatchcase(host, pattern) for pattern in never):
        return False
    if any(fnmatchcase(host, pattern) for pattern in to):
        return True
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        # a single label that begins with a digit may be an address in disguise (2130706433, 0x7f1)
        return host.endswith(_SUFFIXES) or (
            "." not in host and host.isascii() and host[0].isalpha()
        )
    address = getattr(address, "ipv4_mapped", None) or address
    return any(address in net for net in _PRIVATE if net.version == address.version)


def install() -> None:
    """Put the hooks into httpx, requests and aiohttp as each is imported."""
    wrapt.register_post_import_hook(_hook_httpcore, "httpcore")
    wrapt.register_post_import_hook(_hook_requests, "requests.adapters")
    wrapt.register_post_import_hook(_hook_aiohttp, "aiohttp.client_reqrep")


def _allowed(host: object, proxy: object = None) -> bool:
    """Whether a request may carry our context; when in doubt it may not.

    Arguments:
        host: where it goes.
        proxy: who else reads its headers on the way, if anybody.
    """
    settings = setting.current
    with _HOOK:
        hosts = [_text(host)] if proxy is None else [_text(host), _text(proxy)]
        return all(trusted(h, settings.propagate_to, settings.propagate_never) for h in hosts)
    return False


def _text(host: object) -> str:
    return host.decode("ascii", "replace") if isinstance(host, bytes) else str(host or "")


def _names() -> set[str]:
    fields = {name.lower() for name in propagate.get_global_textmap().fields}
    return fields | {"traceparent", "tracestate", "baggage"}


def _hook_httpcore(module: Any) -> None:
    def before(pool: Any, request: Any) -> bool:
        proxy = getattr(pool, "_proxy_url", None) or getattr(
            getattr(pool, "_proxy", None), "url", None
        )
        readable = proxy if request.url.scheme == b"http" else None
        allowed = _allowed(request.url.host, readable.host if readable else None)
        if not allowed:
            names = {name.encode() for name in _names()}
            request.headers = [pair for pair in request.headers if pair[0].lower() not in names]
        return allowed

    def after(allowed: bool, response: Any, began_ns: int) -> None:
        if allowed:
            found = [v.decode() for k, v in response.headers if k.lower() == HEADER.encode()]
            note_remote(found, began_ns)

    def send(wrapped: Callable[..., Any], pool: Any, args: Any, kwargs: Any) -> Any:
        began_ns, allowed = time.perf_counter_ns(), False
        with _HOOK:
            allowed = before(pool, kwargs.get("request") or args[0])
        response = wrapped(*args, **kwargs)
        with _HOOK:
            after(allowed, response, began_ns)
        return response

    async def async_send(wrapped: Callable[..., Any], pool: Any, args: Any, kwargs: Any) -> Any:
        began_ns, allowed = time.perf_counter_ns(), False
        with _HOOK:
            allowed = before(pool, kwargs.get("request") or args[0])
        response = await wrapped(*args, **kwargs)
        with _HOOK:
            after(allowed, response, began_ns)
        return response

    wrapt.wrap_function_wrapper(module, "ConnectionPool.handle_request", send)
    wrapt.wrap_function_wrapper(module, "AsyncConnectionPool.handle_async_request", async_send)


def _hook_requests(module: Any) -> None:
    def proxy(url: str, args: Any, kwargs: Any) -> str | None:
        proxies = kwargs.get("proxies") or (args[5] if len(args) > 5 else None)
        found = module.select_proxy(url, proxies) if url.lower().startswith("http:") else None
        return _host(found if "://" in found else f"http://{found}") if found else None

    def send(wrapped: Callable[..., Any], _: Any, args: Any, kwargs: Any) -> Any:
        began_ns, allowed = time.perf_counter_ns(), False
        request = kwargs.get("request") or args[0]
        taken: Mapping[str, str] = {}
        with _HOOK:
            allowed = _allowed(_host(request.url), proxy(request.url, args, kwargs))
        if not allowed:
            taken = _take(request.headers)
        try:
            response = wrapped(*args, **kwargs)
        finally:
            request.headers.update(taken)  # a redirect back to a trusted host has its context
        with _HOOK:
            if allowed and HEADER in response.headers:
                note_remote([response.headers[HEADER]], began_ns)
        return response

    wrapt.wrap_function_wrapper(module, "HTTPAdapter.send", send)


def _hook_aiohttp(module: Any) -> None:
    async def send(wrapped: Callable[..., Any], request: Any, args: Any, kwargs: Any) -> Any:
        allowed = False
        with _HOOK:
            proxy = getattr(request, "proxy", None) if request.url.scheme == "http" else None
            allowed = _allowed(request.url.host, proxy.host if proxy else None)
        if not allowed:
            _take(request.headers)
        return await wrapped(*args, **kwargs)

    for name in ("send", "_send"):  # 3.14 made it private
        if hasattr(module.ClientRequest, name):
            wrapt.wrap_function_wrapper(module, f"ClientRequest.{name}", send)


def _take(headers: Any) -> dict[str, str]:
    """Remove our headers, and return what was removed."""
    ours = [name for name in headers if name.lower() in _names()]
    return {name: headers.pop(name) for name in ours if name in headers}


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""
