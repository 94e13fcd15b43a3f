"""The lab's ports: the usual numbers, those the user names, or free ones."""

from __future__ import annotations

import contextlib
import socket
import sys
from collections.abc import Mapping

from tradespan.settings import ConfigError

STANDARD: Mapping[str, int] = {
    "otlp_grpc": 4317,
    "otlp_http": 4318,
    "health": 13133,
    "collector_metrics": 8888,
    "scrape": 8889,
    "prometheus": 9090,
    "jaeger": 16686,
    "jaeger_grpc": 16685,
    "jaeger_otlp": 14318,
    "loki": 3100,
    "loki_grpc": 9095,
    "alertmanager": 9093,
}
"""Every port of the lab by name, with the number that its program uses by default."""

HOST = "127.0.0.1"


class Ports(contextlib.AbstractContextManager["Ports"]):
    """Ports that nobody else gets while our programs start.

    Each is held by a bound socket that does not listen. On Linux a program with SO_REUSEADDR (all
    of ours) may still listen there, so the sockets stay until `release`; elsewhere they are let go
    at once, and another program might be faster.
    """

    def __init__(self, wanted: Mapping[str, int], *, standard: bool) -> None:
        """Choose.

        Arguments:
            wanted: numbers by name; each must be free.
            standard: take the usual number of each other port where it is free.

        Raises:
            ConfigError: a name that there is not, or a wanted port that is taken.
        """
        self._sockets: list[socket.socket] = []
        self.numbers: dict[str, int] = {}
        try:
            for name in [*wanted, *(n for n in STANDARD if n not in wanted)]:
                self.numbers[name] = self._choose(name, wanted, standard)
        except BaseException:
            self.release()
            raise
        if sys.platform != "linux":
            self.release()

    def moved(self) -> dict[str, int]:
        """The usual ports that were taken, each with the number that was chosen instead."""
        return {n: p for n, p in self.numbers.items() if p != STANDARD[n]}

    def release(self) -> None:
        """Let the ports go."""
        while self._sockets:
            self._sockets.pop().close()

    def __exit__(self, *_: object) -> None:
        """Let the ports go."""
        self.release()

    def _choose(self, name: str, wanted: Mapping[str, int], standard: bool) -> int:
        key = f"port {name}"
        if name not in STANDARD:
            raise ConfigError(key, wanted[name], f"the ports are {', '.join(STANDARD)}")
        if name in wanted:
            try:
                return self._hold(wanted[name])
            except (OSError, OverflowError) as error:
                hint = f"{error}; choose another number, or leave it out to get a free one"
                raise ConfigError(key, wanted[name], hint) from None
        if standard:
            with contextlib.suppress(OSError):
                return self._hold(STANDARD[name])
        return self._hold(0)

    def _hold(self, number: int) -> int:
        held = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            held.bind((HOST, number))
        except BaseException:
            held.close()
            raise
        self._sockets.append(held)
        return int(held.getsockname()[1])
