"""The HTTP server of /metrics and /health: one thread that waits, one for each request."""

from __future__ import annotations

import logging
import socket
import socketserver
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tradespan.export.endpoints.answer import Answer, refusal

log = logging.getLogger("tradespan")

Reply = Callable[[str, str, dict[str, str]], Answer]

_TICK = 0.5  # seconds between two looks around, at most
_IDLE = 10.0  # seconds that a client may be silent


class Server(ThreadingHTTPServer):
    """Listens at one address. The port is bound when it is made.

    Arguments:
        host: name or address of this machine; empty is every interface.
        port: 0 takes a free one.
        reply: answers path, query and headers.
        tick: called now and then, in the waiting thread.

    Raises:
        OSError: the port is taken, or the host is not of this machine.
    """

    daemon_threads = True
    block_on_close = False
    request_queue_size = 16

    def __init__(
        self, host: str, port: int, reply: Reply, tick: Callable[[], object] = lambda: None
    ) -> None:
        found = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        self.address_family = found[0][0]
        self.reply, self._tick = reply, tick
        super().__init__((str(found[0][4][0]), port), _Handler)
        self.host, self.port = host, int(self.server_address[1])

    def start(self) -> None:
        """Serve, in a daemon thread."""
        threading.Thread(
            target=self.serve_forever, args=(_TICK,), name="tradespan-endpoints", daemon=True
        ).start()

    def stop(self) -> None:
        """Free the port; takes up to a tick."""
        self.shutdown()
        self.server_close()

    def server_bind(self) -> None:
        """Bind; without http.server's look at the name server, which may take long."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "tradespan", self.server_address[1]

    def service_actions(self) -> None:
        """Look around."""
        self._tick()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        """Say nothing on the service's stderr about a client that went away."""
        log.debug("a client of /metrics went away", exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    server: Server
    timeout = _IDLE

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        headers = {name.lower(): value for name, value in self.headers.items()}
        self._send(self.server.reply(path or "/", query, headers))

    do_HEAD = do_GET  # noqa: N815

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Refuse in plain words, as a mounted endpoint does; http.server has a page of HTML."""
        self._send(refusal(code, message or explain or self.responses[code][0]))

    def _send(self, reply: Answer) -> None:
        self.send_response(reply.status)
        for name, value in [*reply.headers, ("Content-Length", str(len(reply.body)))]:
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.body)

    def version_string(self) -> str:
        """Who answers; Python's version is nobody's business."""
        return "tradespan"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Nothing: a scrape every few seconds is no news."""
