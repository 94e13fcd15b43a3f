"""`tradespan lab` on the command line, as far as no program is needed."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from tradespan import lab
from tradespan.cli import lab as command
from tradespan.settings import ConfigError


@pytest.fixture
def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tradespan")
    command.register(parser.add_subparsers())
    return parser


def test_help_has_an_example_and_names_every_port(
    parser: argparse.ArgumentParser, capsys: pytest.CaptureFixture[str]
) -> None:
    """What can be given to --port stands in the help."""
    with pytest.raises(SystemExit):
        parser.parse_args(["lab", "--help"])
    text = capsys.readouterr().out
    assert "example:" in text
    assert set(lab.STANDARD) <= set(text.split())


@pytest.mark.parametrize("word", ["loki", "loki=", "loki=x", "loki=0", "loki=65536", "=3100x"])
def test_malformed_port_is_refused(parser: argparse.ArgumentParser, word: str) -> None:
    """The error shows the word and how to write it."""
    arguments = parser.parse_args(["lab", "up", "--port", word])
    with pytest.raises(ConfigError, match=word) as caught:
        arguments.run(arguments)
    assert "loki=3101" in caught.value.hint


def test_status_without_a_lab(
    parser: argparse.ArgumentParser,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Status 3, a JSON object on stdout, the next step on stderr."""
    monkeypatch.setenv("TRADESPAN_CACHE", str(tmp_path))
    arguments = parser.parse_args(["lab", "status", "--json"])
    assert arguments.run(arguments) == 3
    out, err = capsys.readouterr()
    assert json.loads(out) == {"running": False}
    assert "tradespan lab up" in err


def test_build_of_an_unknown_program_lists_the_known_ones(
    parser: argparse.ArgumentParser,
) -> None:
    """A misspelt program is an error before anything is built."""
    arguments = parser.parse_args(["lab", "build", "otelcoll"])
    with pytest.raises(ConfigError, match="otelcoll") as caught:
        arguments.run(arguments)
    assert "otelcol" in caught.value.hint
