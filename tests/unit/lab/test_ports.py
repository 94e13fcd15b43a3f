"""The lab's ports: free ones, usual ones, wanted ones."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from tradespan.lab.ports import HOST, STANDARD, Ports
from tradespan.settings import ConfigError


@pytest.fixture
def taken() -> Iterator[int]:
    """A port on which somebody else listens."""
    with socket.create_server((HOST, 0)) as server:
        yield server.getsockname()[1]


def test_all_are_free_and_different() -> None:
    """Every port has a number of its own, for two labs at once."""
    with Ports({}, standard=False) as one, Ports({}, standard=False) as two:
        numbers = [*one.numbers.values(), *two.numbers.values()]
    assert set(one.numbers) == set(STANDARD)
    assert len(set(numbers)) == 2 * len(STANDARD)


def test_wanted_port_is_kept() -> None:
    """A port that the user names is the one that is used."""
    with socket.create_server((HOST, 0)) as server:
        number = server.getsockname()[1]
    with Ports({"loki": number}, standard=False) as ports:
        assert ports.numbers["loki"] == number


def test_wanted_port_that_is_taken_is_an_error(taken: int) -> None:
    """It names the port, the number and a way on."""
    with pytest.raises(ConfigError, match="port loki") as caught:
        Ports({"loki": taken}, standard=False)
    assert caught.value.value == taken
    assert "another number" in caught.value.hint


def test_unknown_name_is_an_error_that_lists_the_names() -> None:
    """A misspelt name cannot go unseen."""
    with pytest.raises(ConfigError, match="port lokki") as caught:
        Ports({"lokki": 1}, standard=False)
    assert "loki" in caught.value.hint


def test_usual_port_that_is_taken_moves(taken: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a wish, a taken usual port is replaced by a free one, and that can be told."""
    monkeypatch.setattr("tradespan.lab.ports.STANDARD", {"loki": taken})
    with Ports({}, standard=True) as ports:
        assert ports.moved() == ports.numbers
        assert ports.numbers["loki"] != taken
