"""Child processes of the lab: started in groups of their own, logged to files, guarded."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tradespan.lab import reaper
from tradespan.lab.errors import LabError
from tradespan.lab.reaper import Identity


class Child:
    """A program that we started.

    Attributes:
        name: of the program.
        identity: of the process.
        log: the file with all it wrote.
    """

    def __init__(
        self, name: str, command: Sequence[str], environ: Mapping[str, str], folder: Path
    ) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        with self.log.open("ab") as out:
            try:
                self._process = subprocess.Popen(
                    command,
                    cwd=folder,
                    env=dict(environ),
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=out,
                    start_new_session=True,  # a group of its own; Ctrl-C is ours to handle
                )
            except OSError as error:
                hint = "`tradespan lab build` builds it again"
                raise LabError(f"{name} cannot be started: {error}", hint) from None
        found = reaper.identify(self._process.pid)
        self.identity = found or Identity(self._process.pid, "ended at once")

    def status(self) -> int | None:
        """Its exit status, or None while it runs."""
        return self._process.poll()

    def last_lines(self, count: int = 12) -> str:
        """The end of its log, long lines cut."""
        lines = self.log.read_text(errors="replace").splitlines()[-count:]
        return "\n".join(line[:300] for line in lines)

    def reap(self) -> None:
        """Collect it after its end, so that no zombie stays; waits at most a second."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1.0)


class Guard:
    """A small process that ends our children if we die without having done so."""

    def __init__(self, folder: Path | None) -> None:
        """Start it.

        Arguments:
            folder: removed with the children; None: nothing is removed.
        """
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", reaper.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            text=True,
        )
        if folder is not None:
            self._say({"folder": str(folder)})

    def watch(self, identity: Identity) -> None:
        """From now on this process ends with us."""
        self._say(identity._asdict())

    def dismiss(self) -> None:
        """End the guard; the children stay as they are."""
        self._say("keep")
        if self._process.stdin:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(2.0)

    def _say(self, word: object) -> None:
        if self._process.stdin:
            with contextlib.suppress(BrokenPipeError, ValueError):
                self._process.stdin.write(json.dumps(word) + "\n")
                self._process.stdin.flush()
