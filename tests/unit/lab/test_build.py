"""Building, with a stand-in for Go: what is said, what is kept, what is not done twice."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tradespan.lab import LabError
from tradespan.lab.build import build, build_environment
from tradespan.lab.programs import Program, store
from tradespan.settings import ReadSettings

_VERSION = 'if [ "$1" = env ]; then echo go9.9; exit 0; fi\n'


@pytest.fixture
def program(tmp_path: Path) -> Program:
    folder = tmp_path / "wrapper"
    folder.mkdir()
    (folder / "go.mod").write_text("module x\n")
    (folder / "go.sum").write_text("pinned\n")
    return Program("x", "a program", "1.2", folder, "example.org/x", tags=("a", "b"))


@pytest.fixture
def with_go(tmp_path: Path) -> Callable[[str], ReadSettings]:
    """Settings whose Go is this shell script."""

    def make(script: str) -> ReadSettings:
        go = tmp_path / "bin" / "go"
        go.parent.mkdir(exist_ok=True)
        go.write_text(f"#!/bin/sh\n{_VERSION}{script}")
        go.chmod(0o755)
        path = f"{go.parent}:{os.environ['PATH']}"
        return ReadSettings(cache=tmp_path / "cache", environ={"PATH": path})

    return make


def test_without_go_the_error_says_what_to_do(program: Program, tmp_path: Path) -> None:
    """Go missing and nothing built: program, version, and two ways on."""
    settings = ReadSettings(cache=tmp_path, environ={"PATH": "/nonexistent"})
    with pytest.raises(LabError, match=r"x 1\.2 is not built yet, and Go is not") as caught:
        build([program], settings, report=print)
    assert "install Go" in caught.value.hint
    assert "compose.yaml" in caught.value.hint


def test_failed_build_shows_its_last_lines_and_its_log(
    program: Program, with_go: Callable[[str], ReadSettings]
) -> None:
    """A failed build ends in an error with go's own words; nothing is left in the cache."""
    settings = with_go("seq 100 >&2; echo 'x.go:1: broken' >&2; exit 7")
    with pytest.raises(LabError, match=r"(?s)ended with 7.*x\.go:1: broken") as caught:
        build([program], settings, report=print)
    assert "\n50\n" not in str(caught.value)
    log = store(settings.cache) / "x.log"
    assert str(log) in caught.value.hint
    assert "\n50\n" in log.read_text()
    left = {p.name for p in store(settings.cache).iterdir()}
    assert left == {"x.log", ".x.lock"}


def test_built_once(program: Program, with_go: Callable[[str], ReadSettings]) -> None:
    """The second time, the binary is there: Go is not called and nothing is said."""
    settings = with_go('while [ "$1" != -o ]; do shift; done; echo binary > "$2"')
    said: list[str] = []
    first = build([program], settings, said.append)
    assert first["x"].read_text() == "binary\n"
    assert said[-1].startswith("x 1.2: built in ")
    broken = with_go("exit 1")
    said.clear()
    assert build([program], broken, said.append) == first
    assert said == []


def test_generator_may_not_change_what_is_pinned(
    program: Program, with_go: Callable[[str], ReadSettings]
) -> None:
    """The committed go.sum wins over a generator's, and the wrapper stays as it was."""
    program = Program("x", "w", "1", program.folder, ".", generate=("tool", "builder"))
    settings = with_go(
        'if [ "$1" = tool ]; then echo theirs > go.sum; touch main.go; exit 0; fi\n'
        'while [ "$1" != -o ]; do shift; done; cat go.sum main.go > "$2"'
    )
    assert build([program], settings, report=print)["x"].read_text() == "pinned\n"
    assert {p.name for p in program.folder.iterdir()} == {"go.mod", "go.sum"}


def test_environment_of_the_build_wins_over_the_users() -> None:
    """A GOFLAGS of the user's cannot change what is built."""
    environ = build_environment({"GOFLAGS": "-mod=mod", "GOPROXY": "mine", "GOWORK": "/x/go.work"})
    assert environ["GOFLAGS"] == "-mod=readonly -buildvcs=false"
    assert environ["GOWORK"] == "off"
    assert environ["GOPROXY"] == "mine"
