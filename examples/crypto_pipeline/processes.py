"""Child processes and ports of a launcher: nothing that was started is left behind."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from ports import bound

FIRST = "\0tradespan-crypto-pipeline"  # held by the pipeline that has the usual ports
LAST_LINES = 20
INSTRUMENTED = [  # opentelemetry-instrument python, both of this very interpreter
    sys.executable,
    "-c",
    "from opentelemetry.instrumentation.auto_instrumentation import run; run()",
    sys.executable,
]
GUARD = """
import contextlib, os, signal, sys
pids = [int(line) for line in sys.stdin]  # until the starter closes it, or dies
for pid in pids:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
"""
GRACE = 10.0  # seconds between SIGTERM and SIGKILL


class StartError(Exception):
    """The pipeline did not start, or a part of it ended by itself."""


class Stopped(Exception):  # noqa: N818 - no error
    """We were told to stop before everything had started."""


class Ports:
    """Ports that are ours from now until the children listen on them."""

    def __init__(self) -> None:
        self._held: list[socket.socket] = []
        self._first = self._is_first()

    def take(self, usual: int = 0) -> int:
        """The usual port if it is free and no other pipeline runs here, else any free one."""
        try:
            held = bound(usual if self._first else 0)
        except OSError:
            held = bound(0)
        port = int(held.getsockname()[1])
        if usual and port != usual:
            print(f"port {usual} is taken, using {port}", file=sys.stderr)
        if sys.platform == "linux":  # where a bound socket does not hinder a server on its port
            self._held.append(held)
        else:
            held.close()
        return port

    def release(self) -> None:
        """Let all ports go."""
        for held in self._held:
            held.close()

    def _is_first(self) -> bool:
        if sys.platform != "linux":
            return True
        held = socket.socket(socket.AF_UNIX)
        self._held.append(held)
        try:
            held.bind(FIRST)
        except OSError:
            return False
        return True


class Child:
    """A program that we started; its output is remembered, and shown if `verbose`."""

    def __init__(
        self, name: str, command: Sequence[str], environ: Mapping[str, str], *, verbose: bool
    ) -> None:
        self.name = name
        self._last: deque[str] = deque(maxlen=LAST_LINES)
        self._verbose = verbose
        self._process = subprocess.Popen(
            command,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,  # Ctrl-C is for us: we stop the children in order
        )
        self.pid = self._process.pid
        assert self._process.stdout is not None
        self._reader = threading.Thread(
            target=self._read, args=(self._process.stdout,), daemon=True
        )
        self._reader.start()

    def check(self) -> None:
        """Raise StartError, with its last lines, if it has ended by itself."""
        status = self._process.poll()
        if status is None:
            return
        self._reader.join(1.0)
        lines = "".join(f"\n  {line}" for line in self._last) or " (none)"
        raise StartError(f"{self.name} ended with status {status}; its last lines:{lines}")

    def terminate(self) -> None:
        """Ask it to stop."""
        self._process.terminate()

    def wait(self, until: float) -> None:
        """Wait for its end until a time of the monotonic clock, then kill it."""
        try:
            self._process.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            print(f"{self.name} does not stop, killing it", file=sys.stderr)
            self._process.kill()
            self._process.wait()
        self._reader.join(1.0)

    def _read(self, output: IO[str]) -> None:
        with output:
            for line in output:
                self._last.append(line.rstrip())
                if self._verbose:
                    print(f"{self.name} | {line}", end="", file=sys.stderr, flush=True)


class Children:
    """All child processes; the last group started is the first to be stopped."""

    def __init__(self, stop: threading.Event, *, verbose: bool) -> None:
        self._stop = stop
        self._verbose = verbose
        self._groups: list[list[Child]] = []
        self._guard = subprocess.Popen(  # ends the children if we are killed
            [sys.executable, "-I", "-S", "-c", GUARD],
            stdin=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        for group in reversed(self._groups):
            for child in group:
                child.terminate()
            until = time.monotonic() + GRACE
            for child in group:
                child.wait(until)
        self._guard.kill()
        self._guard.communicate()

    def begin_group(self) -> None:
        """What starts from now on is stopped before all that runs already."""
        self._groups.append([])

    def start(self, name: str, command: Sequence[str], environ: Mapping[str, str]) -> Child:
        """Start a program in the present group."""
        child = Child(name, command, environ, verbose=self._verbose)
        self._groups[-1].append(child)
        with contextlib.suppress(BrokenPipeError):
            print(child.pid, file=self._guard.stdin, flush=True)
        return child

    def check(self) -> None:
        """Raise StartError if any of them has ended by itself."""
        for child in self._all():
            child.check()

    def wait_for(self, ports: Mapping[str, int], seconds: float) -> None:
        """Wait until each program listens on its port; raises StartError or Stopped.

        No request is made: it would be the first trace of the run.
        """
        until = time.monotonic() + seconds
        for name, port in ports.items():
            while not _listens(port):
                self.check()
                if self._stop.is_set():
                    raise Stopped
                if time.monotonic() > until:
                    raise StartError(f"{name} was not ready within {seconds:.0f} s")
                time.sleep(0.02)

    def _all(self) -> Iterable[Child]:
        return (child for group in self._groups for child in group)


def until_stopped(work: Callable[[Path, threading.Event], None], prefix: str) -> int:
    """Do the work of a launcher until SIGTERM or Ctrl-C; its exit status.

    Arguments:
        work: is given a folder that is removed afterwards, and what is set when it shall stop.
        prefix: of the folder's name.
    """
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        with tempfile.TemporaryDirectory(prefix=prefix) as folder:
            work(Path(folder), stop)
    except Stopped:
        return 0
    except (StartError, OSError, RuntimeError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1.0):
        return True
    return False
