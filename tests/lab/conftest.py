"""The real programs for the tests: found or built once, started once a run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tradespan import lab
from tradespan.settings import ReadSettings, read_settings


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Without the programs, and without Go to build them: skip, and say what is missing.

    In CI nothing is skipped: there the tests fail.
    """
    ours = [item for item in items if "programs" in getattr(item, "fixturenames", ())]
    if not ours or os.environ.get("CI"):
        return
    settings = read_settings()
    if (go := lab.go_version(settings.environ)) is not None:
        return
    known = lab.catalogue().values()
    if missing := [p.name for p in known if lab.find(p, settings.cache, go) is None]:
        reason = f"Go is not installed, and these are not built: {', '.join(missing)}"
        for item in ours:
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def read_side() -> ReadSettings:
    """The settings of the read side, as the command line has them."""
    return read_settings()


@pytest.fixture(scope="session")
def programs(read_side: ReadSettings) -> dict[str, Path]:
    """Every real program's binary, by name; built if the cache does not have it."""
    return lab.build(lab.catalogue().values(), read_side, report=print)


@pytest.fixture(scope="session")
def stack(read_side: ReadSettings, programs: dict[str, Path]) -> Iterator[lab.Stack]:
    """The whole lab on free ports, shared by all tests of the run: never stop a part of it."""
    with lab.Stack(read_side, environment=lab.FAST) as running:
        yield running
