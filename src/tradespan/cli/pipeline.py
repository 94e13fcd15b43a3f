"""The example pipeline as a child process of a command."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import IO, Any, Self

from tradespan.bundle import path

_READY_S = 90.0
_STOP_S = 30.0
_TAIL = 8192
_KEPT = ("OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG")
_OURS = {
    "OTEL_BSP_SCHEDULE_DELAY": "200",
    "OTEL_BLRP_SCHEDULE_DELAY": "200",
    "OTEL_METRIC_EXPORT_INTERVAL": "500",
    "TRADESPAN_MODE": "replay",
    "TRADESPAN_PIPELINE": "crypto",
    "TRADESPAN_BUDGETS": "signal=150ms,validation=2s,risk=20ms,execution=250ms,total=3s",
    "PYTHONUNBUFFERED": "1",
}


class PipelineError(Exception):
    """The example pipeline did not start or did not last. `hint` says what it said last."""

    def __init__(self, what: str, hint: str) -> None:
        super().__init__(what)
        self.hint = hint


def environment(environ: Mapping[str, str], *, endpoint: str, namespace: str) -> dict[str, str]:
    """The environment of the services: the user's, but with telemetry settings all of our own.

    Of OTEL_* only the sampler is taken over, and the resource attributes with ours added; of
    TRADESPAN_* only the cache folder. Loopback addresses never go through a proxy.

    Arguments:
        environ: the user's environment.
        endpoint: address that OTLP over HTTP goes to.
        namespace: `service.namespace` of this run.
    """
    own = ("OTEL_", "TRADESPAN")
    kept = {
        key: value
        for key, value in environ.items()
        if not key.startswith(own) or key in (*_KEPT, "TRADESPAN_CACHE")
    }
    attributes = [environ.get("OTEL_RESOURCE_ATTRIBUTES", ""), f"service.namespace={namespace}"]
    direct = [environ.get("NO_PROXY") or environ.get("no_proxy", ""), "127.0.0.1,localhost"]
    no_proxy = ",".join(filter(None, direct))
    return {
        **kept,
        **_OURS,
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "OTEL_RESOURCE_ATTRIBUTES": ",".join(filter(None, attributes)),
        "NO_PROXY": no_proxy,
        "no_proxy": no_proxy,
    }


class ExamplePipeline:
    """Run examples/crypto_pipeline/run.py from `__enter__` to `__exit__`.

    It is a session of its own, so that Ctrl-C reaches only us and the services stop in order.

    Arguments:
        arguments: flags of run.py.
        environ: its environment, see `environment`.
        verbose: let what the services print through to stderr; else it is kept for `said`.
    """

    def __init__(
        self, arguments: Sequence[str], environ: Mapping[str, str], *, verbose: bool
    ) -> None:
        program = path("examples") / "crypto_pipeline" / "run.py"
        self._command = [sys.executable, str(program), *arguments]
        self._environ = dict(environ)
        self._log: IO[bytes] | None = None if verbose else tempfile.TemporaryFile()  # noqa: SIM115
        self._ready: list[dict[str, Any]] = []
        self._child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._child = subprocess.Popen(
            self._command,
            env=self._environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._log,
            start_new_session=True,
        )
        threading.Thread(target=self._listen, args=(self._child.stdout,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        if self._log is not None:
            self._log.close()

    def wait_until_ready(self) -> dict[str, Any]:
        """What it says when all services answer: their addresses and process ids.

        Raises:
            PipelineError: it ended before, or took longer than 90 s.
        """
        deadline = time.monotonic() + _READY_S
        while not self._ready:
            self.check()
            if time.monotonic() > deadline:
                what = f"the pipeline was not ready within {_READY_S:.0f} s"
                raise PipelineError(what, self.said())
            time.sleep(0.05)
        return self._ready[0]

    def check(self) -> None:
        """Raise PipelineError when it has ended by itself."""
        status = self._child.poll() if self._child else None
        if status is not None:
            raise PipelineError(f"the pipeline ended by itself with status {status}", self.said())

    def stop(self) -> int | None:
        """Stop every service and flush its telemetry; bounded. Returns the exit status."""
        child = self._child
        if child is None:
            return None
        if child.poll() is None:
            child.terminate()
            try:
                child.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                with suppress(ProcessLookupError):
                    os.killpg(child.pid, signal.SIGKILL)
                child.wait()
        return child.returncode

    def said(self) -> str:
        """The last lines that the services printed, for a hint."""
        if self._log is None:
            return "what it said stands above"
        at = self._log.fileno()  # the children write at the same offset: read without moving it
        size = os.fstat(at).st_size
        text = os.pread(at, _TAIL, max(0, size - _TAIL)).decode(errors="replace")
        lines = text.splitlines()[-15:]
        last = "".join(f"\n  {line}" for line in lines)
        return f"--verbose shows what the services print; their last lines were:{last}"

    def _listen(self, stdout: IO[bytes]) -> None:
        with stdout:
            for line in stdout:
                with suppress(ValueError):
                    found = json.loads(line)
                    if isinstance(found, dict) and "services" in found:
                        self._ready.append(found)
