"""The command line as such: help, version, failures and exit statuses."""

import subprocess
import sys

import pytest

from tradespan import cli


def test_help_lists_every_command_with_an_example(capsys):
    """`tradespan --help` ends with 0 and shows what to type."""
    assert cli.main(["--help"]) == 0
    text = capsys.readouterr().out
    for command in cli.COMMANDS:
        assert f"  {command} " in text
    assert "tradespan demo --signals 60" in text


def test_commands_are_sorted():
    """One sorted tuple of modules."""
    assert list(cli.COMMANDS) == sorted(cli.COMMANDS)


def test_version(capsys):
    """`--version` names the program."""
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("tradespan ")


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["nothing"],
        ["demo", "--signals", "0"],
        ["demo", "--signals", "x"],
        ["demo", "--bogus"],
        ["demo", "--model-error-rate", "2"],
        ["demo", "--interval-ms", "soon"],
    ],
)
def test_wrong_usage_ends_with_2(words, capsys):
    """Wrong words: status 2, the reason on stderr, nothing on stdout."""
    assert cli.main(words) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "error:" in captured.err


def test_an_expected_failure_is_an_error_and_a_hint(monkeypatch, capsys):
    """What carries a hint is told in two lines, without a traceback, with status 1."""
    monkeypatch.setattr("tradespan.cli.demo._NEEDED", ("no_such_module",))
    assert cli.main(["demo"]) == 1
    captured = capsys.readouterr()
    assert captured.err == (
        "error: the demo needs no_such_module\nhint: pip install 'tradespan[demo]'\n"
    )
    assert captured.out == ""


def test_an_unexpected_failure_is_not_hidden(monkeypatch):
    """A defect of ours keeps its traceback."""
    monkeypatch.setattr("tradespan.cli.demo.importlib.util.find_spec", lambda _name: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        cli.main(["demo"])


def test_ctrl_c_ends_with_130(monkeypatch, capsys):
    """An interrupt is no failure to explain."""

    def interrupt(_name):
        raise KeyboardInterrupt

    monkeypatch.setattr("tradespan.cli.demo.importlib.util.find_spec", interrupt)
    assert cli.main(["demo"]) == 130
    assert "interrupted" in capsys.readouterr().err


def test_python_m_tradespan_is_the_same():
    """As a module it takes the same words; what is heavy is not imported for help."""
    code = (
        "import sys; from tradespan.cli import main; status = main(['demo', '--help']);"
        "heavy = {'opentelemetry.proto', 'tradespan.report', 'tradespan.backends',"
        " 'tradespan.cli.pipeline'} & set(sys.modules); sys.exit(status or bool(heavy))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0
    done = subprocess.run(
        [sys.executable, "-m", "tradespan", "--help"], capture_output=True, text=True
    )
    assert done.returncode == 0
    assert "usage: tradespan" in done.stdout
