"""Services as users start them: real processes, under `opentelemetry-instrument` or without it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .collector import NAMESPACE

SCRIPTS = Path(__file__).parent / "scripts"
BIN = Path(sys.executable).parent
INSTRUMENT = [str(BIN / "opentelemetry-instrument")]
GENEROUS = 120.0
"""Seconds after which a test gives up; nothing is measured by it."""


@dataclass
class Service:
    """One started service and the files that it writes."""

    process: subprocess.Popen[bytes]
    out: Path
    err: Path
    ledger: Path

    @property
    def pid(self) -> int:
        """Id of the process that was started."""
        return self.process.pid

    @property
    def stdout(self) -> str:
        """What it has printed."""
        return self.out.read_text()

    @property
    def stderr(self) -> str:
        """What it has complained of."""
        return self.err.read_text()

    def entries(self) -> list[tuple[str, str]]:
        """The ledger: (signal id, stage) of each stage that has ended; whole lines only."""
        return [(signal_id, stage) for signal_id, stage, _ in self._lines()]

    def writers(self) -> set[str]:
        """The ids of the processes that have written to the ledger."""
        return {process for _, _, process in self._lines()}

    def _lines(self) -> list[list[str]]:
        text = self.ledger.read_text() if self.ledger.exists() else ""
        return [line.split() for line in text[: text.rfind("\n") + 1].splitlines()]

    def until(self, ready: Callable[[], object], what: str = "ready") -> None:
        """Wait for something; fails when the service ends before it, or after a long while."""
        deadline = time.monotonic() + GENEROUS
        while not ready():
            assert self.process.poll() is None, f"ended ({self.process.returncode}): {self.stderr}"
            assert time.monotonic() < deadline, f"not {what}: {self.stdout} {self.stderr}"
            time.sleep(0.02)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal, wait for the end and return the exit code."""
        self.process.send_signal(number)
        return self.wait()

    def wait(self, seconds: float = GENEROUS) -> int:
        """Wait for the end and return the exit code."""
        return self.process.wait(timeout=seconds)


def environment(tmp: Path, **extra: str) -> dict[str, str]:
    """The environment of a service: nothing of ours but what the test says."""
    kept = {k: os.environ[k] for k in ("PATH", "HOME", "LANG", "SYSTEMROOT") if k in os.environ}
    return {
        **kept,
        "PYTHONPATH": str(SCRIPTS),
        "PYTHONUNBUFFERED": "1",
        "LEDGER": str(tmp / "ledger"),
        "OTEL_RESOURCE_ATTRIBUTES": f"service.namespace={NAMESPACE}",
        "OTEL_SERVICE_NAME": "under-test",
        "TRADESPAN_MODE": "replay",
        **extra,
    }


@contextlib.contextmanager
def service(
    command: Sequence[str],
    tmp: Path,
    env: Mapping[str, str] | None = None,
    *,
    instrumented: bool = True,
) -> Iterator[Service]:
    """Start a service in a session of its own; whatever is left of it is killed at the end.

    Arguments:
        command: program and arguments; a name without folder is a script of ours.
        tmp: where its ledger, stdout and stderr go.
        env: beside `environment`.
        instrumented: start it under `opentelemetry-instrument`.
    """
    if command[0].endswith(".py"):
        command = [sys.executable, str(SCRIPTS / command[0]), *command[1:]]
    tmp.mkdir(parents=True, exist_ok=True)
    out, err = tmp / "stdout", tmp / "stderr"
    with out.open("wb") as stdout, err.open("wb") as stderr:
        process = subprocess.Popen(
            [*(INSTRUMENT if instrumented else ()), *command],
            env=environment(tmp, **(env or {})),
            cwd=tmp,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
        )
    try:
        yield Service(process, out, err, tmp / "ledger")
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def run(
    command: Sequence[str],
    tmp: Path,
    env: Mapping[str, str] | None = None,
    *,
    instrumented: bool = True,
) -> tuple[int, str, str]:
    """Run a service to its own end: exit code, stdout, stderr."""
    with service(command, tmp, env, instrumented=instrumented) as one:
        return one.wait(), one.stdout, one.stderr


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def answers(port: int) -> bool:
    """Whether somebody listens on a port of loopback."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
