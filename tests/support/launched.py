"""A launcher of the examples as a process of its own, until the end of the block."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


class Launched:
    """What a launcher started.

    Attributes:
        ready: what it said, once all was ready; empty where it ended before.
    """

    def __init__(self, script: str, flags: tuple[str, ...], environ: dict[str, str]) -> None:
        self.ready: dict[str, Any] = {}
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed in __exit__
        self._process = subprocess.Popen(
            [sys.executable, str(EXAMPLES / script), *flags],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env={**os.environ, **environ},
            cwd="/",
        )

    def __enter__(self) -> Self:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        self.ready = json.loads(line) if line else {}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if self.alive:
            self.stop()
        if error is not None:
            print(self.said())
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._errors.close()

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._process.poll() is None

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Stop it; its exit status."""
        self._process.send_signal(number)
        return self.wait()

    def kill(self) -> None:
        """End it with no chance to clean up."""
        self._process.kill()
        self._process.wait()

    def wait(self) -> int:
        """Wait for its end; its exit status."""
        try:
            return self._process.wait(60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise

    def said(self) -> str:
        """What it wrote to stderr so far."""
        at = self._errors.fileno()
        return os.pread(at, os.fstat(at).st_size, 0).decode(errors="replace")


def ask(url: str, body: dict[str, Any] | None = None, timeout: float = 10) -> Any:
    """The JSON answer to a GET, or to a POST of a body, which may take so many seconds."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, headers={"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=timeout) as answer:
        return json.load(answer)


class Example(Launched):
    """An example that `examples/run.py` starts: `with Example("agents", **environ) as example:`.

    What its programs print is in `said()`, a line each, as `NAME | LINE`.
    """

    def __init__(self, name: str, *, interval_ms: int = 50, **environ: str) -> None:
        flags = (name, "--verbose", "--interval-ms", str(interval_ms))
        super().__init__("run.py", flags, environ)

    def __enter__(self) -> Self:
        super().__enter__()
        assert self.ready, self.said()
        return self

    def url(self, program: str) -> str:
        """Base address of a program."""
        return str(self.ready["programs"][program]["url"])

    def ask(self, where: str, body: dict[str, Any] | None = None, timeout: float = 10) -> Any:
        """GET, or POST a body to, `PROGRAM/PATH`; its JSON answer, in so many seconds at most."""
        program, _, path = where.partition("/")
        return ask(f"{self.url(program)}/{path}", body, timeout)

    def until(self, done: Callable[[], object], seconds: float = 120) -> None:
        """Wait until something is done while the example runs; it fails after so many seconds."""
        deadline = time.monotonic() + seconds
        while not done():
            assert self.alive, self.said()
            assert time.monotonic() < deadline, f"not within {seconds:.0f} s"
            time.sleep(0.1)
