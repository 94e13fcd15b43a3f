"""Processes that cannot be taken for others, and that do not outlive their starter."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tradespan.lab import reaper
from tradespan.lab.reaper import Identity


@pytest.fixture
def sleeper() -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts processes that do nothing; none survives the test."""
    started: list[subprocess.Popen[bytes]] = []

    def start(script: str = "sleep 60") -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            ["sh", "-c", f"{script}"], start_new_session=True, stdout=subprocess.PIPE
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if process.stdout:
            process.stdout.close()


def identity_of(process: subprocess.Popen[bytes]) -> Identity:
    found = reaper.identify(process.pid)
    assert found is not None
    return found


def test_ended_process_is_not_alive(sleeper: Callable[..., subprocess.Popen[bytes]]) -> None:
    """A zombie that nobody has collected counts as ended."""
    process = sleeper()
    identity = identity_of(process)
    assert reaper.alive(identity)
    process.kill()
    deadline = time.monotonic() + 10
    while reaper.alive(identity) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not reaper.alive(identity)


def test_another_process_of_the_same_number_is_spared(
    sleeper: Callable[..., subprocess.Popen[bytes]],
) -> None:
    """A number that went to somebody else in the meantime is left alone."""
    process = sleeper()
    reaper.end([Identity(process.pid, "long ago")], grace=0.1)
    assert process.poll() is None


def test_process_that_ignores_sigterm_is_killed(
    sleeper: Callable[..., subprocess.Popen[bytes]],
) -> None:
    """The end is bounded, with the whole group: a child of the child goes too."""
    process = sleeper("trap '' TERM; sleep 60 & echo $!; wait; wait")
    assert process.stdout
    grandchild = reaper.identify(int(process.stdout.readline()))
    assert grandchild
    identity = identity_of(process)
    assert reaper.end([identity], grace=0.2) == [identity]
    assert not reaper.alive(identity)
    assert not reaper.alive(grandchild)


def test_nothing_survives_a_starter_that_is_killed(
    sleeper: Callable[..., subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    """kill -9 of the starter: the guard ends the children and removes the folder."""
    folder = tmp_path / "data"
    folder.mkdir()
    child = identity_of(sleeper())
    script = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from tradespan.lab.children import Guard\n"
        "from tradespan.lab.reaper import Identity\n"
        f"guard = Guard(Path({str(folder)!r}))\n"
        f"guard.watch(Identity({child.pid}, {child.started!r}))\n"
        "print('watching', flush=True)\n"
        "time.sleep(60)\n"
    )
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    starter = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, env=environ)
    assert starter.stdout
    assert starter.stdout.readline() == b"watching\n"
    starter.kill()
    starter.wait()
    starter.stdout.close()
    deadline = time.monotonic() + 20
    while (reaper.alive(child) or folder.exists()) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not reaper.alive(child)
    assert not folder.exists()
