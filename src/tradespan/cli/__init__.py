"""The command line: `tradespan COMMAND`, one module a command.

Data goes to stdout, everything else to stderr. Exit status: 0 as asked, 1 not so (or an expected
failure, with `error:` and `hint:` on stderr), 2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import TextIO

COMMANDS = ("check", "demo", "lab")
"""Modules of this package, sorted. Each has `register(subparsers)`, which adds a parser whose
default `run` is a function from the parsed arguments to the exit status. What is heavy is
imported when it runs."""

_EXAMPLE = """example:
  tradespan demo --signals 60      follow 60 trading signals through five services, here and now
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Arguments:
        argv: its words without the program's name; None takes those of this process.

    Returns:
        The exit status.
    """
    for stream in (sys.stdout, sys.stderr):
        _never_fail_on_a_character(stream)
    try:
        arguments = _parser().parse_args(argv)
    except SystemExit as stop:  # argparse has said why
        return stop.code if isinstance(stop.code, int) else 2
    try:
        status = int(arguments.run(arguments))
        sys.stdout.flush()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader has seen enough (`| head`)
        sys.stdout = None  # nothing to flush at exit
        return 1
    except Exception as error:
        hint = getattr(error, "hint", None)  # what carries a hint is an expected failure
        if hint is None:
            raise
        _complain(error, str(hint))
        return 1
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tradespan",
        description="Follow every trading signal from the market event to the fill.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"tradespan {_version()}")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name in COMMANDS:
        importlib.import_module(f"tradespan.cli.{name}").register(subparsers)
    return parser


def _version() -> str:
    try:
        return version("tradespan")
    except PackageNotFoundError:
        return "(not installed)"


def _complain(error: Exception, hint: str) -> None:
    message = str(error).split("\nhint:")[0]
    print(f"error: {message}\nhint: {hint}", file=sys.stderr)


def _never_fail_on_a_character(stream: TextIO) -> None:
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="replace")
