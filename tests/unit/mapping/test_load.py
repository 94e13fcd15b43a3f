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
from tradespan.mapping.config import Begins
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
        "  d: {key: d, store: 'redis://cache${UNSET:-}'}\n"
        "  e: {key: e, store: 'redis://${EMPTY:-cache}'}\n"
    )
    estate = load(file, {"STORE": "redis://cache/1", "EMPTY": ""})
    assert [h.store for h in estate.handoffs.values()] == [
        "redis://cache/1",
        "redis://localhost:6379",
        "${UNSET}",
        "redis://cache",
        "redis://cache",
    ]


def test_what_several_stages_have_in_common_stands_under_an_anchor(tmp_path: Path) -> None:
    """`x-...` at the top is nobody's; what a stage says itself wins over what it merges."""
    file = tmp_path / "tradespan.yaml"
    file.write_text(
        "version: 1\nx-usual: &usual {budget: 1s, set: {symbol: args.symbol}}\nservices:\n"
        "  a: {stages: {risk: {<<: *usual, run: 'm:f', budget: 2s}}}\n"
        "  b: {stages: {risk: &b {<<: *usual, run: 'm:g'}, hedging: *b}}\n"
    )
    services = load(file, {}).services
    risk, other = services["a"].stages["risk"], services["b"].stages["hedging"]
    assert (risk.budget, other.budget) == (2.0, 1.0)
    assert risk.set == other.set == services["b"].stages["risk"].set
    assert Draft202012Validator(SCHEMA).is_valid(yaml.safe_load(file.read_text()))


def test_keys_are_texts(tmp_path: Path) -> None:
    """YAML's booleans and numbers are the words that they are written as, where they are keys."""
    file = tmp_path / "tradespan.yaml"
    file.write_text(
        "version: 1\nservices:\n  1:\n    stages:\n      on:\n        run: m:f\n"
        "        set: {side: result, decision: result}\n"
        "        map: {side: {1: buy, -1: sell}, decision: {yes: approved, NO: rejected}}\n"
    )
    stage = load(file, {}).services["1"].stages["on"]
    assert stage.map["side"] == {"1": "buy", "-1": "sell"}
    assert stage.map["decision"] == {"yes": "approved", "NO": "rejected"}


def test_begins_with_nothing_after_it(tmp_path: Path) -> None:
    """It is said, so a journey begins there."""
    file = tmp_path / "tradespan.yaml"
    file.write_text(
        "version: 1\nservices:\n  a:\n    stages:\n      x:\n        run: m:f\n        begins:\n"
        "      y: {run: 'm:g'}\n"
    )
    stages = load(file, {}).services["a"].stages
    assert stages["x"].begins == Begins()
    assert stages["y"].begins is None


@pytest.mark.parametrize("text", ["[" * 2000, "services: {a: !!bool x}", "services: {a: !!int ''}"])
def test_whatever_the_reader_of_yaml_raises_is_a_fault_of_the_file(
    tmp_path: Path, text: str
) -> None:
    """Nesting without end, and values that are not what their tag says."""
    file = tmp_path / "tradespan.yaml"
    file.write_text(f"version: 1\n{text}\n")
    with pytest.raises(FileError, match="no YAML"):
        load(file, {})


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
