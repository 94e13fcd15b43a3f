"""The real programs: which there are, and where the cache has them."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from tradespan import bundle

_KEYS = {"what", "version", "folder", "package", "tags", "generate", "lab"}


@dataclass(frozen=True, slots=True)
class Program:
    """One binary and the Go module that pins it; a row of `collector/programs/programs.yaml`.

    Attributes:
        name: of the binary.
        what: what it is, in a few words.
        version: its own version, for people.
        folder: its wrapper module (go.mod, go.sum).
        package: the Go package of the binary.
        tags: Go build tags.
        generate: arguments of `go` that write the sources before the build.
        lab: whether `tradespan lab up` starts it.
    """

    name: str
    what: str
    version: str
    folder: Path
    package: str
    tags: tuple[str, ...] = ()
    generate: tuple[str, ...] = ()
    lab: bool = True

    def source_key(self) -> str:
        """A short hash of all that decides what the binary is, but for the Go that builds it."""
        digest = hashlib.sha256()
        for part in (self.package, *self.tags, "|", *self.generate):
            digest.update(part.encode() + b"\0")
        for file in sorted(p for p in self.folder.rglob("*") if p.is_file()):
            digest.update(file.relative_to(self.folder).as_posix().encode() + b"\0")
            digest.update(hashlib.sha256(file.read_bytes()).digest())
        return digest.hexdigest()[:12]

    def file_name(self, go: str) -> str:
        """The name in the cache of the binary that Go version `go` builds (`*`: any Go)."""
        return f"{self.name}-{self.version}-{self.source_key()}-{go}"


def catalogue(table: Path | None = None) -> dict[str, Program]:
    """All programs, by name.

    Arguments:
        table: another `programs.yaml`; its folders stand beside it.

    Raises:
        ValueError: the table has a key that means nothing.
    """
    table = table or bundle.path("collector") / "programs" / "programs.yaml"
    found = {}
    for name, row in yaml.safe_load(table.read_text()).items():
        if unknown := set(row) - _KEYS:
            raise ValueError(f"{table}: {name} has unknown keys {sorted(unknown)}")
        found[name] = Program(
            name=name,
            what=row["what"],
            version=str(row["version"]),
            folder=table.parent / row["folder"],
            package=row["package"],
            tags=tuple(row.get("tags", ())),
            generate=tuple(row.get("generate", ())),
            lab=row["lab"],
        )
    return found


def go_version(environ: Mapping[str, str]) -> str | None:
    """The version of the Go on the path (`go1.26.8`), or None where there is none."""
    go = shutil.which("go", path=environ.get("PATH"))
    if go is None:
        return None
    answer = subprocess.run(
        [go, "env", "GOVERSION"], env=dict(environ), capture_output=True, text=True, check=False
    )
    return answer.stdout.strip() or None


def store(cache: Path) -> Path:
    """The folder of the cache that holds the binaries."""
    return cache / "programs"


def find(program: Program, cache: Path, go: str | None) -> Path | None:
    """The binary in the cache, or None.

    Arguments:
        program: which.
        cache: the cache folder.
        go: version of the Go at hand; None (no Go here) takes what any Go has built.
    """
    if go is not None:
        binary = store(cache) / program.file_name(go)
        return binary if binary.is_file() else None
    return max(store(cache).glob(program.file_name("go*")), default=None)
