"""Files that cannot be used, each with what is said of it; and those that can."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from tradespan import mapping
from tradespan.mapping.load import FileError, load

ROOT = Path(__file__).parents[3]
SCHEMA = json.loads((Path(mapping.__path__[0]) / "tradespan.schema.json").read_text())
INVALID = sorted((Path(__file__).parent / "invalid").glob("*.yaml"))


@pytest.mark.parametrize("file", INVALID, ids=lambda file: file.stem)
def test_an_invalid_file_says_where_and_what(file: Path) -> None:
    """One fault: file, line, place, value, and what is allowed."""
    expected = file.read_text().splitlines()[0].removeprefix("# expect: ")
    with pytest.raises(FileError) as caught:
        load(file, {})
    (said,) = caught.value.errors
    assert said.startswith(f"{file}:")
    line, _, message = said.removeprefix(f"{file}:").partition(":")
    assert int(line) > 0
    assert expected in f"{line}:{message}", said


def test_every_fault_at_once(tmp_path: Path) -> None:
    """Whoever mends a file mends it in one go."""
    file = tmp_path / "tradespan.yaml"
    file.write_text(
        "version: 1\npipeline: {budget: 3}\nservices:\n  a:\n"
        "    stages: {risk: {run: x}, signal: {}}\n    calls: {wrong: 'a:b'}\n"
    )
    with pytest.raises(FileError) as caught:
        load(file, {})
    lines = [error.split(":")[1] for error in caught.value.errors]
    assert lines == ["2", "5", "5", "6"]
    assert str(caught.value).count("\n      ") == 3


@pytest.mark.parametrize(
    ("content", "what"),
    [(None, "cannot be read"), (b"\xff\xfe\x00", "cannot be read"), (b"", "holds no mapping")],
)
def test_a_file_that_cannot_be_read(tmp_path: Path, content: bytes | None, what: str) -> None:
    """Missing, no text, empty."""
    file = tmp_path / "tradespan.yaml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(FileError, match=what):
        load(file, {})


def test_variables_of_the_environment(tmp_path: Path) -> None:
    """`${NAME}` and `${NAME:-default}`, anywhere in a text; an unset one stays as it stands."""
    file = tmp_path / "tradespan.yaml"
    file.write_text(
        "version: 1\nhandoffs:\n  a: {key: a, store: '${STORE}'}\n"
        "  b: {key: b, store: 'redis://${HOST:-localhost}:6379'}\n"
        "  c: {key: c, store: '${UNSET}'}\n"
    )
    estate = load(file, {"STORE": "redis://cache/1", "EMPTY": ""})
    assert [h.store for h in estate.handoffs.values()] == [
        "redis://cache/1",
        "redis://localhost:6379",
        "${UNSET}",
    ]


@pytest.mark.parametrize("text", ["version: 1\n", "version: 1\nservices: {a: {}}\n"])
def test_the_least_file(tmp_path: Path, text: str) -> None:
    """A file may say almost nothing."""
    file = tmp_path / "tradespan.yaml"
    file.write_text(text)
    estate: Any = load(file, {})
    assert estate.pipeline.name == "default"
    assert estate.deployment.where == "one_host"


SEEN_BY_EDITORS = [
    "other_version", "no_version", "unknown_key", "unknown_key_of_a_stage", "no_target", "no_route",
    "no_path", "no_outcome", "no_duration", "no_unit", "unknown_call", "unknown_value",
    "unknown_client", "bad_name",
]  # fmt: skip


def test_the_schema_is_what_the_model_says() -> None:
    """Editors complete what the service reads; the message names the command that mends it."""
    command = [sys.executable, str(ROOT / "tools" / "schema.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_schema_takes_the_example() -> None:
    """With all its short forms."""
    validator = Draft202012Validator(SCHEMA)
    validator.check_schema(SCHEMA)
    files = sorted((ROOT / "examples").glob("*/tradespan.yaml"))
    assert files
    for file in files:
        assert not list(validator.iter_errors(yaml.safe_load(file.read_text())))


@pytest.mark.parametrize("name", SEEN_BY_EDITORS)
def test_the_schema_refuses(name: str) -> None:
    """What an editor can see it underlines."""
    file = Path(__file__).parent / "invalid" / f"{name}.yaml"
    assert not Draft202012Validator(SCHEMA).is_valid(yaml.safe_load(file.read_text()))
