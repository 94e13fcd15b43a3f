"""Which programs there are, and under which name the cache keeps them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tradespan.lab.programs import Program, catalogue, find, go_version, store


@pytest.fixture
def program(tmp_path: Path) -> Program:
    folder = tmp_path / "wrapper"
    folder.mkdir()
    (folder / "go.mod").write_text("module x\n")
    (folder / "go.sum").write_text("")
    return Program("x", "a program", "1.2", folder, "example.org/x")


def test_catalogue_names_wrapper_modules_that_pin_their_checksums() -> None:
    """Every program has a go.mod and a go.sum, so that a build resolves nothing."""
    for program in catalogue().values():
        assert (program.folder / "go.mod").is_file(), program.name
        assert (program.folder / "go.sum").stat().st_size > 0, program.name


def test_catalogue_pins_the_version_it_names() -> None:
    """The Collector's components are all of the version that the table tells people."""
    program = catalogue()["otelcol"]
    manifest = (program.folder / "manifest.yaml").read_text()
    components = [line for line in manifest.splitlines() if "gomod:" in line]
    own = [line for line in components if "confmap/provider" not in line]
    assert len(own) > 20
    assert all(line.endswith(f" v{program.version}") for line in own)


def test_catalogue_refuses_an_unknown_key(tmp_path: Path) -> None:
    """A misspelt key is an error that names it, not a setting that is silently lost."""
    table = tmp_path / "programs.yaml"
    table.write_text("x: {what: w, version: 1, folder: x, package: p, lab: true, tag: [a]}")
    with pytest.raises(ValueError, match="'tag'"):
        catalogue(table)


def test_key_changes_with_anything_that_changes_the_binary(program: Program) -> None:
    """Another checksum, another file, other tags or package: another binary."""
    keys = {program.source_key()}
    keys.add(replace(program, tags=("netgo",)).source_key())
    keys.add(replace(program, package="example.org/y").source_key())
    keys.add(replace(program, generate=("tool", "builder")).source_key())
    (program.folder / "go.sum").write_text("example.org/z v1 h1:abc=\n")
    keys.add(program.source_key())
    (program.folder / "main.go").write_text("package main\n")
    keys.add(program.source_key())
    assert len(keys) == 6


def test_key_stays_the_same_elsewhere(program: Program, tmp_path: Path) -> None:
    """Two checkouts of the same sources share one binary."""
    copy = tmp_path / "elsewhere"
    copy.mkdir()
    for file in program.folder.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    assert replace(program, folder=copy).source_key() == program.source_key()


def test_binary_of_another_go_counts_only_without_go(program: Program, tmp_path: Path) -> None:
    """A machine without Go takes the binary it has; one with Go keeps to its version."""
    binary = store(tmp_path) / program.file_name("go1.26.1")
    binary.parent.mkdir()
    binary.write_text("")
    assert find(program, tmp_path, "go1.26.1") == binary
    assert find(program, tmp_path, "go1.27.0") is None
    assert find(program, tmp_path, None) == binary


def test_no_go_is_no_version() -> None:
    """A path without Go has no version, and raises nothing."""
    assert go_version({"PATH": "/nonexistent"}) is None
