"""The public surface is typed: a user's program passes mypy --strict, its mistakes do not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_a_users_program_is_checked_strictly() -> None:
    """No error in the program, and each mistake marked in it is found."""
    pytest.importorskip("mypy", reason="mypy is not installed (extra dev)")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--warn-unused-ignores", "--no-error-summary",
         "--config-file", "pyproject.toml", "tests/typing/user_program.py"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_package_says_that_it_is_typed() -> None:
    """Type checkers use our annotations only where `py.typed` is installed."""
    import tradespan

    assert (Path(tradespan.__file__).parent / "py.typed").exists()
