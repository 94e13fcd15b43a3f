"""A file for each process, in a folder that Prometheus' file discovery reads.

An entry is locked as long as its process lives: the kernel frees the lock however that ends, also
in another container on the same folder, where its process id means nothing.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import threading
from pathlib import Path
from typing import IO

from tradespan.guard import guard

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_ENTRY = guard("endpoints.targets")
_PREFIX = "tradespan-"  # what has another name in the folder is not ours to remove
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_.-]+")


class Targets:
    """This process's entry, and the removal of dead ones.

    Arguments:
        folder: as TRADESPAN_METRICS_TARGETS says; made if need be.
        service: name of the service, for the file's name.
    """

    def __init__(self, folder: str, service: str) -> None:
        self._folder, self._service = Path(folder).expanduser(), service
        self._file: IO[str] | None = None
        self._path: Path | None = None
        self._address = ("", 0)
        self._lock = threading.RLock()

    def enter(self, host: str, port: int) -> None:
        """Write this process's entry; a second one replaces it. Never raises."""
        with _ENTRY, self._lock:
            self.leave()
            self._folder.mkdir(parents=True, exist_ok=True)
            owner = f"{_PREFIX}{self._service or 'python'}-{socket.gethostname()}-{os.getpid()}"
            path = self._folder / f"{_NOT_IN_NAMES.sub('_', owner)}.json"
            new = path.with_suffix(".new")
            file = new.open("w")
            try:
                if fcntl is not None:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                json.dump([{"targets": [target(host, port)], "labels": {}}], file)
                file.write("\n")
                file.flush()
                new.replace(path)  # whole, or not at all
            except BaseException:
                file.close()
                new.unlink(missing_ok=True)
                raise
            self._file, self._path, self._address = file, path, (host, port)

    def leave(self) -> None:
        """Remove this process's entry. Never raises."""
        with _ENTRY, self._lock:
            file, path, self._file, self._path = self._file, self._path, None, None
            if path is not None:
                path.unlink(missing_ok=True)
            if file is not None:
                file.close()

    def forget(self) -> None:
        """After a fork: the entry is the parent's, and stays."""
        with _ENTRY:
            self._lock = threading.RLock()
            file, self._file, self._path = self._file, None, None
            if file is not None:
                file.close()

    def look_after(self) -> None:
        """Write the entry again if it is gone, and remove those of processes that have ended."""
        with _ENTRY, self._lock:
            if self._path is not None and not self._path.exists():
                self.enter(*self._address)
            for path in self._folder.glob(f"{_PREFIX}*.json") if fcntl is not None else ():
                if path != self._path:
                    _remove_if_dead(path)


def _remove_if_dead(path: Path) -> None:
    with contextlib.suppress(OSError), path.open() as file:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)  # refused while its process lives
        path.unlink(missing_ok=True)


def target(host: str, port: int) -> str:
    """How this process is reached: a wildcard is replaced by this machine's own address."""
    if host in ("", "0.0.0.0", "::"):  # noqa: S104 - a comparison
        host = _own_address()
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _own_address() -> str:
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # sends nothing; the kernel says which way it would go
        return str(probe.getsockname()[0])
    return "127.0.0.1"
