"""The HTTP side of the embedded backend: OTLP requests in, clear answers out, never an exit."""

from __future__ import annotations

import socket
import threading
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from google.protobuf.message import DecodeError, Message

_PROTOBUF = "application/x-protobuf"
_TEXT = "text/plain; charset=utf-8"

Take = Callable[[bytes], Message]
"""Stores one request's body and returns the answer; raises DecodeError for a malformed one."""


class Receiver:
    """Receive POST requests on a free loopback port, each path with its own taker.

    Arguments:
        takers: path to what takes its bodies.
        limit: most bytes of one body, unpacked; a larger one is answered with 413.
    """

    def __init__(self, takers: Mapping[str, Take], *, limit: int) -> None:
        self._server = _Server(takers, limit)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )

    @property
    def address(self) -> str:
        """Base address, such as `http://127.0.0.1:40123`."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Stop answering and free the port; bounded to 5 s."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join(timeout=5)
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, takers: Mapping[str, Take], limit: int) -> None:
        self.takers = takers
        self.limit = limit
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """A connection that breaks off is its sender's affair: nothing is printed."""


class _RefusedError(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60
    wbufsize = -1  # headers and body in one packet, or every answer waits 40 ms for an ACK
    server: _Server

    def do_POST(self) -> None:
        try:
            answer = self._take(self._body())
        except _RefusedError as refusal:
            self._answer(refusal.status, _TEXT, str(refusal).encode())
            self._let_the_sender_finish()
        except DecodeError as error:
            message = f"not an OTLP protobuf message for {self.path}: {error}"
            self._answer(400, _TEXT, message.encode())
        else:
            self._answer(200, _PROTOBUF, answer.SerializeToString())

    def do_GET(self) -> None:
        message = f"OTLP over HTTP is received here, by POST to {', '.join(self.server.takers)}"
        self._answer(404, _TEXT, message.encode())

    def _take(self, body: bytes) -> Message:
        take = self.server.takers.get(self.path.split("?")[0])
        if take is None:
            known = ", ".join(self.server.takers)
            raise _RefusedError(404, f"unknown path {self.path}; known: {known}")
        kind = self.headers.get("Content-Type", "").split(";")[0].strip()
        if kind != _PROTOBUF:
            raise _RefusedError(
                415, f"Content-Type {kind or 'missing'} is not taken, only {_PROTOBUF}"
            )
        return take(_unpacked(body, self.headers.get("Content-Encoding"), self.server.limit))

    def _body(self) -> bytes:
        """The body as sent; a refusal here leaves it unread, so the connection closes."""
        keep, self.close_connection = not self.close_connection, True
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal():
            raise _RefusedError(411, "a Content-Length is needed; chunked bodies are not taken")
        if int(length) > self.server.limit:
            raise _RefusedError(413, _too_large(self.server.limit))
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            raise _RefusedError(400, f"the body breaks off after {len(body)} of {length} bytes")
        self.close_connection = not keep
        return body

    def _answer(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def _let_the_sender_finish(self) -> None:
        """Read on for a moment where a body is left: a reset would overtake the answer."""
        if self.close_connection:
            with suppress(OSError):
                self.wfile.flush()
                self.connection.shutdown(socket.SHUT_WR)
                self.connection.settimeout(1)
                for _ in range(64):
                    if not self.connection.recv(65536):
                        return

    def log_message(self, *args: object) -> None:
        """Requests are not logged."""


def _unpacked(raw: bytes, encoding: str | None, limit: int) -> bytes:
    if encoding in (None, "", "identity"):
        return raw
    if encoding != "gzip":
        raise _RefusedError(415, f"Content-Encoding {encoding} is not taken, only gzip")
    unpack = zlib.decompressobj(wbits=31)
    try:
        body = unpack.decompress(raw, limit + 1)
    except zlib.error as error:
        raise _RefusedError(400, f"the body is not gzip: {error}") from None
    if len(body) > limit:
        raise _RefusedError(413, _too_large(limit))
    if not unpack.eof:
        raise _RefusedError(400, "the gzip body breaks off")
    return body


def _too_large(limit: int) -> str:
    return f"the body is larger than the limit of {limit} bytes"
