"""Processes known by more than their number, and a guard that ends them when their starter dies.

Also run as a program of its own (`python reaper.py`), so it uses the standard library only. It then
reads lines on standard input: `{"pid": 1, "started": "..."}` and `{"folder": "..."}` name what is
to go, `"keep"` ends it without harm. When the input closes without that word, the starter is dead:
the processes are ended and the folder is removed.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple


class Identity(NamedTuple):
    """A process that cannot be taken for another that got its number later.

    Attributes:
        pid: its number; it leads a process group of the same number.
        started: when it started, as the system says it.
    """

    pid: int
    started: str


def identify(pid: int) -> Identity | None:
    """The process that has this number now; None if none does, or if it is only a zombie."""
    with contextlib.suppress(OSError, IndexError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return None if fields[0] in "ZX" else Identity(pid, fields[19])
    if Path("/proc/self/stat").exists():
        return None
    answer = subprocess.run(
        ["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    state, _, started = answer.stdout.strip().partition(" ")
    return Identity(pid, started.strip()) if state and not state.startswith("Z") else None


def alive(identity: Identity) -> bool:
    """Whether this very process still runs."""
    return identify(identity.pid) == identity


def end(identities: Iterable[Identity], grace: float = 5.0) -> list[Identity]:
    """End processes and their groups: SIGTERM to all, after `grace` seconds SIGKILL to the rest.

    Arguments:
        identities: which; those that are gone already are left alone.
        grace: seconds they have to end by themselves.

    Returns:
        those that had to be killed.
    """
    running = [i for i in identities if alive(i)]
    _signal(running, signal.SIGTERM)
    deadline = time.monotonic() + grace
    while running and time.monotonic() < deadline:
        time.sleep(0.01)
        running = [i for i in running if alive(i)]
    _signal(running, signal.SIGKILL)
    killed = list(running)
    while running and time.monotonic() < deadline + 2.0:
        time.sleep(0.01)
        running = [i for i in running if alive(i)]
    return killed


def _signal(identities: Iterable[Identity], number: signal.Signals) -> None:
    for identity in identities:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(identity.pid, number)


def main() -> None:
    """Wait for the starter's word or its death."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the starter to handle
    identities: list[Identity] = []
    folders: list[str] = []
    for line in sys.stdin:
        word = json.loads(line)
        if word == "keep":
            return
        if "folder" in word:
            folders.append(word["folder"])
        else:
            identities.append(Identity(word["pid"], word["started"]))
    end(identities, grace=2.0)
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
