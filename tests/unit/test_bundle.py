"""The files that travel with the package are found, in a checkout and in a wheel."""

from __future__ import annotations

import pytest

from tradespan.bundle import path


@pytest.mark.parametrize("name", ["otel-collector.yaml", "collector", "examples"])
def test_what_travels_with_the_package(name: str) -> None:
    """Each of them exists where it is said to be."""
    assert path(name).exists()
    assert path(name).name == name


def test_what_does_not() -> None:
    """A clear answer, with a hint."""
    with pytest.raises(FileNotFoundError, match=r"nothing-of-this-name.*reinstall"):
        path("nothing-of-this-name")
