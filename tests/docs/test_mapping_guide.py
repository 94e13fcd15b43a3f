"""What the guide to mapping shows is true: its blocks are valid, and fit the services."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import yaml

from tradespan.mapping.config import Estate, Stage
from tradespan.mapping.load import load
from tradespan.mapping.rules import _COMPARE, parse

ROOT = Path(__file__).resolve().parents[2]
GUIDE = ROOT / "docs" / "guides" / "mapping.md"
SERVICES = ROOT / "examples" / "unchanged_services"
TEXT = GUIDE.read_text()
YAML = re.compile(r"^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)
INSTRUMENT = [str(Path(sys.executable).parent / "opentelemetry-instrument")]
DESK = """
import time

from desk import risk

def hedge(order):
    return risk.assess(order)

time.sleep(7)  # until the line that a service says of its file
"""
STEPS, REFERENCE = TEXT.split("## What each key means")


def merged(old: Any, new: Any) -> Any:
    """Both as one; where they differ, the newer word counts."""
    if isinstance(old, dict) and isinstance(new, dict):
        return {**old, **{key: merged(old.get(key), value) for key, value in new.items()}}
    return new


def after_each_step() -> Iterator[dict[str, Any]]:
    """The file of a reader who takes over one block after the other."""
    file: dict[str, Any] = {"version": 1}
    for block in YAML.findall(STEPS):
        file = merged(file, yaml.safe_load(block))
        yield file


def read(data: dict[str, Any], folder: Path) -> Estate:
    file = folder / "tradespan.yaml"
    file.write_text(yaml.safe_dump(data))
    return load(file, {})


def within(part: Any, whole: Any) -> bool:
    """Whether a file says all that a part of it says."""
    if isinstance(part, dict) and isinstance(whole, dict):
        return all(key in whole and within(part[key], whole[key]) for key in part)
    return bool(part == whole)


def test_the_file_is_valid_after_each_step(tmp_path):
    """Whoever stops in the middle has a file that works."""
    injects = [
        estate.handoffs["signals"].inject if estate.handoffs else None
        for estate in (read(data, tmp_path) for data in after_each_step())
    ]
    assert injects == [None, None, None, False, True]


@pytest.mark.parametrize("block", YAML.findall(REFERENCE), ids=count())
def test_every_block_of_the_reference_is_valid(block, tmp_path):
    """As a file of its own, with nothing but the version before it."""
    read({"version": 1, **yaml.safe_load(block)}, tmp_path)


def test_the_steps_name_functions_and_routes_that_the_services_have(tmp_path):
    """Every `__main__` target and every route of the steps is in the script of that service."""
    *_, last = after_each_step()
    for name, mapped in read(last, tmp_path).services.items():
        source = (SERVICES / f"{name.replace('-', '_')}.py").read_text()
        found = {n.name for n in ast.parse(source).body if hasattr(n, "name")}
        assert set(re.findall(r"__main__:(\w+)", str(mapped))) <= found, name
        for stage in mapped.stages.values():
            assert stage.route or stage.run
            for method, path in stage.route:
                assert f'@app.{method.lower()}("{path}")' in source


def test_the_steps_lead_to_the_file_of_the_example():
    """It says all that they say, of the same services."""
    *_, last = after_each_step()
    whole = yaml.safe_load((SERVICES / "tradespan.yaml").read_text())
    assert within(last, whole)
    assert set(last["services"]) == set(whole["services"])


def test_every_key_of_a_stage_and_every_test_of_a_rule_is_explained():
    """The table of keys has all keys that a stage has; the tests of rules are those that exist."""
    table = TEXT[TEXT.index("### A stage") : TEXT.index("### Targets")]
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == set(Stage.model_fields)
    section = TEXT[TEXT.index("### Rules") : TEXT.index("### Calls, values")]
    for test in _COMPARE:
        assert f"`{test}`" in section
    for test in ("is none", "is not none", "is true", "is false"):
        assert parse(f"result {test}").test in section


@pytest.fixture
def desk(tmp_path):
    """The desk of the page, with the file that the page shows."""
    (tmp_path / "desk").mkdir()
    (tmp_path / "desk" / "__init__.py").touch()
    (tmp_path / "desk" / "risk.py").write_text("def assess(order):\n    return {'score': 0.5}\n")
    (tmp_path / "desk_service.py").write_text(DESK)
    (block,) = [b for b in YAML.findall(REFERENCE) if "desk.risk:assess, limits" in b]
    (tmp_path / "tradespan.yaml").write_text(f"version: 1\n{block}")
    return tmp_path


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """A command of the page, in a folder."""
    silent = {f"OTEL_{signal}_EXPORTER": "none" for signal in ("TRACES", "METRICS", "LOGS")}
    environ = {**os.environ, **silent, "OTEL_SERVICE_NAME": "desk", "TRADESPAN_MODE": "replay"}
    return subprocess.run(
        command, cwd=folder, env=environ, capture_output=True, text=True, timeout=60, check=False
    )


def test_a_service_says_of_its_file_what_the_page_quotes(desk):
    """The summary line, word for word."""
    quoted = re.findall(r"^```text\n(tradespan.yaml: desk: 2 of.*?)^```", TEXT, re.M | re.S)
    said = run(desk, *INSTRUMENT, sys.executable, "desk_service.py")
    assert said.returncode == 0, said.stderr
    assert " ".join(quoted[0].split()) in said.stderr


def test_check_says_of_the_file_what_the_page_quotes(desk):
    """Both commands run; the faults that are quoted are among those that are found."""
    (block,) = re.findall(r"^```sh\n(tradespan check.*?)^```", TEXT, re.M | re.S)
    (quoted,) = re.findall(r"^```text\n(tradespan.yaml:\d.*?)^```", TEXT, re.M | re.S)
    first, second = (
        run(desk, sys.executable, "-m", "tradespan", *line.split()[1:])
        for line in block.splitlines()
    )
    assert first.returncode == 0, first.stdout
    assert second.returncode == 1, second.stderr
    for fault in re.split(r"\n(?=tradespan.yaml)", quoted.strip()):
        assert fault in second.stdout


def test_check_finds_no_error_after_any_step(tmp_path):
    """Whoever stops in the middle may deploy; at the end nothing at all is wrong."""
    for data in after_each_step():
        (tmp_path / "tradespan.yaml").write_text(yaml.safe_dump(data))
        found = run(tmp_path, sys.executable, "-m", "tradespan", "check")
        assert found.returncode == 0, found.stdout
    assert found.stdout.endswith("nothing wrong\n")


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)#][^)]*)\)", TEXT))
def test_links_lead_to_files(link):
    """Files of the repository."""
    assert (GUIDE.parent / link).exists()


@pytest.mark.parametrize("anchor", re.findall(r"\]\(#([^)]*)\)", TEXT))
def test_anchors_lead_to_headings(anchor):
    """Headings of this page."""
    headings = re.findall(r"^#+ (.*)$", TEXT, re.MULTILINE)
    assert anchor in {re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in headings}
