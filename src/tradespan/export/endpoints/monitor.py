"""The endpoints of this process: what listens, under which port, through forks and supervisors."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from tradespan.export.endpoints.answer import Answer, answer
from tradespan.export.endpoints.scrape import Scrapes
from tradespan.export.endpoints.server import Server
from tradespan.export.endpoints.targets import Targets
from tradespan.guard import guard

log = logging.getLogger("tradespan")

_LOOK_AROUND = 5.0  # seconds between two tries for a port that was taken
_AFTER_FORK = 0.3  # seconds in which a forked child may still become another program
_GUARD = guard("endpoints.monitor")


class Address(NamedTuple):
    """Where a process is reached."""

    host: str
    port: int


class Monitor:
    """All listeners of a process.

    Arguments:
        scrapes: collects the metrics.
        targets: the entry for Prometheus' file discovery, where one is wanted.
    """

    def __init__(self, scrapes: Scrapes, targets: Targets | None) -> None:
        self._scrapes, self._targets = scrapes, targets
        self._wanted: dict[Address, Server | None] = {}
        self._lock = threading.RLock()
        self._elsewhere: dict[Address, Server] = {}
        self._looked = 0.0
        self._supervises = False
        if hasattr(os, "register_at_fork"):  # not on Windows
            os.register_at_fork(after_in_child=self._after_fork)

    def listen(self, wanted: Address) -> Address | None:
        """Listen there, or at a free port where that one is taken; None where neither can be.

        A supervisor does not listen; its workers do.
        """
        with self._lock:
            if self._supervises:
                return None
            known = self._wanted.get(wanted) or self._elsewhere.get(wanted)
            server = known or self._open(wanted)
            return Address(server.host, server.port) if server else None

    def give_way(self) -> None:
        """Leave the ports to the workers that this process is about to start."""
        with self._lock:
            self._supervises = True
            self.leave()
            for server in self._servers():
                server.stop()
            self._wanted = dict.fromkeys(self._wanted)
            self._elsewhere = {}

    def stop(self) -> None:
        """Free all ports and forget that they were wanted."""
        self.give_way()
        self._wanted, self._supervises = {}, False

    def leave(self) -> None:
        """Take this process's entry out of the targets: it is about to end."""
        if self._targets is not None:
            self._targets.leave()

    def reply(self, path: str, query: str, headers: dict[str, str]) -> Answer:
        """Answer one request at one of our own ports."""
        return answer(path, query, headers, self._scrapes.families)

    def _servers(self) -> list[Server]:
        return [s for s in (*self._wanted.values(), *self._elsewhere.values()) if s is not None]

    def _open(self, wanted: Address) -> Server | None:
        self._wanted.setdefault(wanted, None)
        server = self._bind(wanted.host, wanted.port, wanted)
        if server is not None:
            self._wanted[wanted] = server
        else:
            server = self._bind(wanted.host, 0, wanted)
            if server is None:
                return None
            self._elsewhere[wanted] = server
        server.start()
        self._announce(server, wanted)
        return server

    def _bind(self, host: str, port: int, wanted: Address) -> Server | None:
        try:
            return Server(host, port, self.reply, self._look_around)
        except OSError as error:
            if port == 0:
                log.error(
                    "/metrics and /health are not served: %s:%d: %s",
                    wanted.host,
                    wanted.port,
                    error,
                )
            return None

    def _announce(self, server: Server, wanted: Address) -> None:
        if self._targets is not None and len(self._servers()) == 1:
            self._targets.enter(server.host, server.port)
        if wanted.port not in (0, server.port):
            log.log(
                logging.WARNING if self._targets is None else logging.INFO,
                "port %d is taken: /metrics and /health of process %d are at %s:%d",
                wanted.port, os.getpid(), server.host, server.port,
            )  # fmt: skip

    def _look_around(self) -> None:
        """Take over a wanted port that has become free; look after the targets."""
        now = time.monotonic()
        if now - self._looked < _LOOK_AROUND or not self._lock.acquire(blocking=False):
            return
        try:
            self._looked = now
            with _GUARD:
                if self._targets is not None:
                    self._targets.look_after()
                for wanted in [w for w, s in self._wanted.items() if s is None]:
                    self._take_over(wanted)
        finally:
            self._lock.release()

    def _take_over(self, wanted: Address) -> None:
        if self._supervises or wanted.port == 0:
            return
        with contextlib.suppress(OSError):  # taken still
            server = Server(wanted.host, wanted.port, self.reply)
            self._wanted[wanted] = server
            server.start()

    def _after_fork(self) -> None:
        """A forked child has no threads: it answers at a port of its own."""
        with _GUARD:
            inherited, self._lock = self._servers(), threading.RLock()
            wanted, self._wanted, self._elsewhere = list(self._wanted), {}, {}
            self._supervises = False
            if self._targets is not None:
                self._targets.forget()
            for server in inherited:
                server.socket.close()  # the parent's stays open
            if wanted:
                _later(lambda: [self.listen(one) for one in wanted])


def _later(do: Callable[[], object]) -> None:
    def wait() -> None:
        time.sleep(_AFTER_FORK)
        with _GUARD:
            do()

    threading.Thread(target=wait, name="tradespan-endpoints", daemon=True).start()
