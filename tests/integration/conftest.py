"""Real servers and the example pipeline, each as processes that end with the test."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ..support.launched import Launched, ask

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "crypto_pipeline"
READY_S = 60.0
DONE_S = 90.0


def missing(what: str, hint: str) -> None:
    """Skip with one line that names what is missing; in CI nothing may be missing."""
    say = pytest.fail if os.environ.get("CI") else pytest.skip
    say(f"{what} is missing ({hint})")


@contextmanager
def held_port() -> Iterator[int]:
    """A port that nobody else gets, and on which a server can listen meanwhile (on Linux)."""
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


@contextmanager
def running(command: list[str], port: int, **options: Any) -> Iterator[None]:
    """A server from the moment it listens until the end of the block."""
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, **options)
        try:
            deadline = time.monotonic() + READY_S
            while not listens(port):
                log.seek(0)
                assert process.poll() is None, log.read().decode()
                assert time.monotonic() < deadline, f"{command[0]} does not listen"
                time.sleep(0.02)
            yield
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def real_redis(tmp_path: Path) -> Iterator[str]:
    """Address of a Redis server of its own."""
    program = shutil.which("redis-server")
    if program is None:
        missing("redis-server", "apt-get install redis-server")
        return
    with held_port() as port:
        flags = ["--bind", "127.0.0.1", "--port", str(port), "--dir", str(tmp_path), "--save", ""]
        with running([program, *flags], port):
            yield f"redis://127.0.0.1:{port}/0"


@pytest.fixture
def embedded_redis() -> Iterator[str]:
    """Address of the example's embedded Redis."""
    with held_port() as port:
        command = [sys.executable, str(EXAMPLE / "stubs" / "redis_server.py")]
        with running(command, port, env={**os.environ, "PORT": str(port)}):
            yield f"redis://127.0.0.1:{port}/0"


@pytest.fixture
def real_postgres() -> Iterator[str]:
    """Address of a PostgreSQL database of its own; as root it runs as the user postgres."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: float(p.parent.name))
    found = shutil.which("initdb") or (str(folders[-1] / "initdb") if folders else None)
    if found is None:
        missing("PostgreSQL", "apt-get install postgresql")
        return
    programs = Path(found).resolve().parent
    options = {"user": "postgres", "group": "postgres"} if os.geteuid() == 0 else {}
    with tempfile.TemporaryDirectory(prefix="postgres-") as folder, held_port() as port:
        if options:
            shutil.chown(folder, **options)
        flags = ["-D", folder, "-U", "trader", "-A", "trust", "--no-sync"]
        subprocess.run(
            [str(programs / "initdb"), *flags], check=True, capture_output=True, **options, cwd="/"
        )
        flags = ["-D", folder, "-h", "127.0.0.1", "-p", str(port), "-k", folder, "-F"]
        with running([str(programs / "postgres"), *flags], port, cwd="/", **options):
            url = f"postgresql://trader@127.0.0.1:{port}/postgres"
            _accepts(url)
            yield url


def _accepts(url: str) -> None:
    """Wait until PostgreSQL, which listens before it is ready, takes a connection."""
    psycopg = pytest.importorskip("psycopg", reason="psycopg is missing (pip install psycopg)")
    deadline = time.monotonic() + READY_S
    while True:
        try:
            psycopg.connect(url).close()
        except psycopg.OperationalError:
            assert time.monotonic() < deadline, "PostgreSQL takes no connection"
            time.sleep(0.05)
        else:
            return


class Pipeline(Launched):
    """The example pipeline as a process of its own."""

    def __init__(self, flags: tuple[str, ...], environ: dict[str, str]) -> None:
        super().__init__("crypto_pipeline/run.py", flags, environ)

    def ask(self, where: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """GET, or POST a body to, `SERVICE/PATH` or `STUB/PATH`."""
        name, _, path = where.partition("/")
        services = self.ready["services"]
        base = services[name]["url"] if name in services else self.ready["stubs"][name]
        found: dict[str, Any] = ask(f"{base}/{path}", body)
        return found

    def stats(self) -> dict[str, dict[str, int]]:
        """What every service counts, by service."""
        return {name: self.ask(f"{name}/stats") for name in self.ready["services"]}

    def until(self, done: Callable[[dict[str, dict[str, int]]], bool]) -> dict[str, dict[str, int]]:
        """Wait until the counts are so, and return them."""
        deadline = time.monotonic() + DONE_S
        while not done(stats := self.stats()):
            assert self.alive, self.said()
            assert time.monotonic() < deadline, stats
            time.sleep(0.1)
        return stats


@pytest.fixture
def pipeline() -> Callable[..., Pipeline]:
    """`with pipeline("--signals", "60", OTEL_SDK_DISABLED="true") as p: ...`."""
    return lambda *flags, **environ: Pipeline(flags, environ)
