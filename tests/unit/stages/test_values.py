"""Values of the service as telemetry can hold them; no value raises."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from typing import Any
from uuid import UUID

import numpy as np
import pytest

from tradespan.stages.values import plain, text


class Side(Enum):
    """An enum of texts."""

    BUY = "buy"


class MixedSide(str, Enum):  # noqa: UP042 - as trading code has it
    """The older way to the same."""

    BUY = "buy"


class NewSide(StrEnum):
    """The newer way to the same."""

    BUY = "buy"


class Level(IntEnum):
    """An enum of numbers."""

    HIGH = 3


class Mute:
    """Has no text."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("BTC-USD", "BTC-USD"),
        ("", ""),
        (True, True),
        (3, 3),
        (0.5, 0.5),
        (Decimal("0.1"), 0.1),
        (Side.BUY, "buy"),
        (MixedSide.BUY, "buy"),
        (NewSide.BUY, "buy"),
        (Level.HIGH, 3),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00+00:00"),
        (date(2026, 1, 2), "2026-01-02"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (np.float32(0.5), 0.5),
        (np.int64(3), 3),
        (np.bool_(True), True),
        (np.array([0.5]), 0.5),
        (np.str_("x"), "x"),
        (["a", "b"], ["a", "b"]),
        (("a", "b"), ["a", "b"]),
        ([], []),
        ([0.1, 0.2], [0.1, 0.2]),
        (ValueError("no balance"), "no balance"),
    ],
    ids=repr,
)
def test_plain(value: Any, told: Any) -> None:
    """Texts, numbers, times, enums, scalars of numpy and lists of texts or numbers are told."""
    found = plain(value)
    assert found == told
    assert isinstance(found, str | bool | int | float | list)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
        (Decimal("NaN"), "nan"),
        (Decimal("1e999"), "inf"),
        (np.float32("nan"), "nan"),
        ([1.0, float("nan")], ["1.0", "nan"]),
    ],
    ids=repr,
)
def test_what_is_not_finite_is_text(value: Any, told: Any) -> None:
    """Jaeger answers 500 to every search that finds a NaN among the attributes."""
    assert plain(value) == told


@pytest.mark.parametrize(
    "value",
    [np.array([1.0, 2.0]), np.array([]), Mute(), object(), {"a": 1}, b"\xff", Decimal("sNaN"),
     Decimal("1e999"), 10**400, -(10**400), [Mute()], "\ud800", "x" * 10_000, float("nan"),
     MixedSide],
    ids=lambda v: f"{type(v).__name__}",
)  # fmt: skip
def test_what_cannot_be_told_never_raises(value: Any) -> None:
    """Whatever comes gives something small that the exporter can encode."""
    found = plain(value)
    assert isinstance(found, str | bool | int | float | list)
    if isinstance(found, str):
        assert len(found.encode()) <= 4 * 4096
    if isinstance(found, int):
        assert -(2**63) <= found < 2**63


def test_objects_are_named_not_shown() -> None:
    """An object of the service's own, which may hold anything, is named by its type only."""

    class Order:
        def __repr__(self) -> str:
            return "Order(password=hunter2)"

    assert plain(Order()) == "<Order>"


@pytest.mark.parametrize(("value", "told"), [("a", "a"), (1, "1"), (None, "None"), ("é", "é")])
def test_text(value: object, told: str) -> None:
    """Anything as text."""
    assert text(value) == told


def test_text_of_what_has_none() -> None:
    """Never raises, and can always be encoded."""
    assert text(Mute()) == "<Mute>"
    assert text("a\ud800b").encode() == b"a?b"
    assert len(text("x" * 100_000)) == 4096
