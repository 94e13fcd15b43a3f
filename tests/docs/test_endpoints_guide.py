"""What the guide to the endpoints shows works, and it knows every setting."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tradespan.settings import Settings

TEXT = (Path(__file__).parents[2] / "docs" / "guides" / "endpoints.md").read_text()


def blocks(language: str) -> list[str]:
    """The code blocks of one language."""
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


@pytest.mark.parametrize("block", blocks("python"))
def test_code_runs(block: str) -> None:
    """Each block runs by itself, without a word."""
    done = subprocess.run(
        [sys.executable, "-c", block], capture_output=True, text=True, check=False, timeout=120
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_every_setting_is_there() -> None:
    """The variables of the guide are those of Settings."""
    documented = set(re.findall(r"TRADESPAN_METRICS_[A-Z]+", Settings.__doc__ or ""))
    assert set(re.findall(r"TRADESPAN_METRICS_[A-Z]+", TEXT)) == documented
    assert len(documented) == 3


def test_prometheus_configuration() -> None:
    """It is YAML with one job."""
    (block,) = blocks("yaml")
    assert yaml.safe_load(block)["scrape_configs"][0]["file_sd_configs"]
