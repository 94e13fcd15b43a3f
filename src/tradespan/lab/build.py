"""Build the real programs, once, into the cache."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from tradespan.lab.errors import LabError
from tradespan.lab.programs import Program, find, go_version, store
from tradespan.settings import ReadSettings

Report = Callable[[str], None]
_TELL_EVERY = 15.0  # seconds between two progress lines


def build(
    programs: Iterable[Program], settings: ReadSettings, report: Report, jobs: int = 0
) -> dict[str, Path]:
    """Build what the cache does not have yet; one program at a time.

    Arguments:
        programs: which.
        settings: the cache folder, and the environment for Go.
        report: takes progress lines.
        jobs: most packages that Go compiles at once; 0 is one per processor.

    Returns:
        the binaries by name.

    Raises:
        LabError: Go is missing, or a build failed; with the last lines and the log's path.
    """
    go = go_version(settings.environ)
    store(settings.cache).mkdir(parents=True, exist_ok=True)
    return {p.name: _build_once(p, settings, go, report, jobs) for p in programs}


def build_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """What `go` needs to build from go.mod and go.sum alone, whatever the user's Go settings are.

    go.sum holds every checksum, so nothing is resolved and no checksum database is asked.
    """
    fixed = {
        "CGO_ENABLED": "0",  # one static binary, and no C compiler needed
        "GOWORK": "off",
        "GOFLAGS": "-mod=readonly -buildvcs=false",
    }
    return {**environ, **fixed}


def _build_once(
    program: Program, settings: ReadSettings, go: str | None, report: Report, jobs: int
) -> Path:
    if binary := find(program, settings.cache, go):
        return binary
    if go is None:
        raise LabError(
            f"{program.name} {program.version} is not built yet, and Go is not installed",
            "install Go (1.26.5 or later), or start collector/compose.yaml in containers instead",
        )
    with _lock(store(settings.cache) / f".{program.name}.lock", program, report):
        if binary := find(program, settings.cache, go):  # another builder was faster
            return binary
        return _build(program, settings, go, report, jobs)


@contextlib.contextmanager
def _lock(path: Path, program: Program, report: Report) -> Iterator[None]:
    with path.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            report(f"{program.name}: another process is building it, waiting")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _build(program: Program, settings: ReadSettings, go: str, report: Report, jobs: int) -> Path:
    target = store(settings.cache) / program.file_name(go)
    log = store(settings.cache) / f"{program.name}.log"
    began = time.monotonic()
    # A copy: the wrapper may lie in a read-only installation, and generating writes into it.
    prefix = f".build-{program.name}-"
    for left in store(settings.cache).glob(f"{prefix}*"):  # of a build that was killed
        shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=store(settings.cache), prefix=prefix) as name:
        copy = Path(name) / "module"
        shutil.copytree(program.folder, copy)
        with log.open("w") as out:
            for command in _commands(program, Path(name) / "binary", jobs):
                _run(program, command, copy, settings, out.fileno(), log, report, began)
                for pinned in ("go.mod", "go.sum"):  # a generator writes its own go.mod
                    shutil.copy2(program.folder / pinned, copy / pinned)
        (Path(name) / "binary").replace(target)
    report(f"{program.name} {program.version}: built in {time.monotonic() - began:.0f} s")
    return target


def _commands(program: Program, binary: Path, jobs: int) -> list[list[str]]:
    commands = [["go", *program.generate]] if program.generate else []
    tags = ["-tags", ",".join(program.tags)] if program.tags else []
    parallel = ["-p", str(jobs or os.cpu_count() or 1)]
    flags = ["-trimpath", "-ldflags=-s -w", *parallel, *tags]
    return [*commands, ["go", "build", *flags, "-o", str(binary), program.package]]


def _run(
    program: Program,
    command: list[str],
    folder: Path,
    settings: ReadSettings,
    out: int,
    log: Path,
    report: Report,
    began: float,
) -> None:
    environ = build_environment(settings.environ)
    child = subprocess.Popen(
        command, cwd=folder, env=environ, stdin=subprocess.DEVNULL, stdout=out, stderr=out
    )
    try:
        os.setpriority(os.PRIO_PROCESS, child.pid, 5)  # a build must not starve the desk
        while True:
            report(f"{program.name} {program.version}: building, {time.monotonic() - began:.0f} s")
            with contextlib.suppress(subprocess.TimeoutExpired):
                status = child.wait(_TELL_EVERY)
                break
    except BaseException:
        child.terminate()
        child.wait()
        raise
    if status != 0:
        last = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
        raise LabError(
            f"building {program.name} failed (`{' '.join(command[:2])}` ended with {status}):\n"
            f"{last}",
            f"the whole log is {log}; Go needs its module proxy and some 10 GB of disk once",
        )
