"""A peer on loopback that remembers what reached it: a trusted service, an exchange, a proxy."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, quote, urlsplit

OURS = {"traceparent", "tracestate", "baggage"}


@dataclass(frozen=True)
class Request:
    """One request as it arrived.

    `host` is whom it was meant for, in a proxy's request as well as in a plain one.
    """

    host: str
    path: str
    headers: Mapping[str, str]

    def tells(self, signal_id: str = "") -> list[str]:
        """Names of the headers that tell of our trace, or of this signal."""
        found = [name for name in self.headers if name in OURS or name.startswith("x-b3")]
        told = [name for name, value in self.headers.items() if signal_id and signal_id in value]
        return sorted({*found, *told})


class Peer:
    """Answers every GET with 200, and `/to?URL` with a redirect to it."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        peer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                url = urlsplit(self.path)
                host = url.hostname or self.headers["Host"].partition(":")[0]
                headers = {name.lower(): value for name, value in self.headers.items()}
                peer.requests.append(Request(host, url.path, headers))
                to = parse_qs(url.query).get("url")
                self.send_response(307 if to else 200)
                if to:
                    self.send_header("Location", to[0])
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args: object) -> None:
                """Nothing is printed."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port

    def url(self, host: str, path: str, *then: tuple[str, str]) -> str:
        """Address of a path under a name; asked, it redirects through the (name, path) of `then`.

        The whole way is nested in the query.
        """
        here = f"http://{host}:{self.port}{path}"
        return f"{here}?url={quote(self.url(*then[0], *then[1:]), safe='')}" if then else here

    def at(self, path: str) -> Request:
        """The one request that came to a path."""
        found = [request for request in self.requests if request.path == path]
        assert len(found) == 1, f"{len(found)} requests at {path}"
        return found[0]

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
