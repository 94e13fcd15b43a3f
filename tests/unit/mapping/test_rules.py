"""What a rule asks, and what it says where it cannot be asked."""

from __future__ import annotations

import re
from datetime import date
from enum import Enum
from typing import Any

import numpy as np
import pytest

from tradespan.mapping import notes
from tradespan.mapping.paths import MISSING, Call, Signature
from tradespan.mapping.rules import parse


class Side(Enum):
    BUY = "buy"
    SELL = b"sell"
    FLAT = 0


@pytest.fixture(autouse=True)
def _silence() -> None:
    notes.forget()


def holds(text: str, result: Any = MISSING, error: BaseException | None = None) -> bool:
    return parse(text).holds(
        Call(Signature(), (), {}, result=result, error=error), "outcome.rejected"
    )


@pytest.mark.parametrize(
    ("text", "result", "expected"),
    [
        ("result is none", None, True),
        ("result is none", 0, False),
        ("result.id is none", {}, True),
        ("result.id is not none", {}, False),
        ("result is not none", 0, True),
        ("result is true", True, True),
        ("result is true", 1, False),
        ("result is false", False, True),
        ("result is false", None, False),
        ("result", True, True),
        ("result", "yes", False),
        ("result == false", False, True),
        ("result == true", False, False),
        ('result == "HOLD"', "HOLD", True),
        ("result == HOLD", "HOLD", True),
        ("result == 'HOLD'", "BUY", False),
        ("result != HOLD", "BUY", True),
        ("result.a == null", {"a": None}, True),
        ("result < 0.5", 0.4, True),
        ("result < 0.5", 0.5, False),
        ("result <= 0.5", 0.5, True),
        ("result > 10", 11, True),
        ("result >= 10", 10, True),
        ("result >= 10", 9, False),
        ("result in [BUY, SELL]", "SELL", True),
        ("result in [BUY, SELL]", "HOLD", False),
        ("result not in [200, 201]", 503, True),
        ("result not in [200, 201]", 200, False),
        ('result matches "^insufficient .*"', "insufficient funds", True),
        ("result matches (?i)FUNDS", "no funds", True),
        ("result matches ^x", "no funds", False),
        ("result == 7", 7.0, True),
        ("result.id == 7", {}, False),
        ("result.id != 7", {}, False),
        ("result.id not in [7]", {}, False),
        ("result == 1e3", 1000.0, True),
        ("result in [1e-3, 7]", 0.001, True),
        ('result == "1e3"', "1e3", True),
        ("result == Y", "Y", True),
        ('result == "NO"', "NO", True),
        ("result == 'None'", "None", True),
        ("result in ['None', null]", None, True),
        ("result == stop and wait", "stop and wait", True),
        ("result == timed out or error", "timed out or error", True),
        ('result == "a and result.b == 2"', "a and result.b == 2", True),
        ("result matches (?i)stop or error", "Stop or error", True),
        ("result matches no", "there is no way", True),
        ("result matches 1.50", "at 1.50", True),
        ("result == 2026-01-02", date(2026, 1, 2), True),
        ('result["order id"] == 1', {"order id": 1}, True),
        ("result['order id'].x[0] is none", {"order id": {}}, True),
    ],
)
def test_every_operator(text: str, result: Any, expected: bool) -> None:
    """Values are YAML: true, 7, BUY and "BUY"; what is missing satisfies `is none` alone."""
    assert holds(text, result) is expected
    assert not notes.said()


@pytest.mark.parametrize(
    ("text", "result", "expected"),
    [
        ("result is false", np.bool_(False), True),
        ("result is true", np.bool_(True), True),
        ("result == 7", np.int64(7), True),
        ("result > 0.5", np.array([0.7]), True),
        ('result == "BUY"', b"BUY", True),
        ("result in [BUY, SELL]", b"HOLD", False),
        ("result matches ^BU", b"BUY", True),
        ("result == buy", Side.BUY, True),
        ("result == sell", Side.SELL, True),
        ("result == BUY", Side.BUY, False),
        ("result < 1", Side.FLAT, True),
        ("result == no such venue", OSError("no such venue"), True),
    ],
)
def test_values_are_compared_as_the_file_would_write_them(
    text: str, result: Any, expected: bool
) -> None:
    """Bytes are text, scalars of numpy Python's, an Enum's member its value, errors their text."""
    assert holds(text, result) is expected
    assert not notes.said()


@pytest.mark.parametrize("test", ["is none", "is not none", "is false", "== null", "!= 7"])
@pytest.mark.parametrize("source", ["result", "result.status", "response", "response.status"])
def test_nothing_holds_of_a_result_that_never_came(source: str, test: str) -> None:
    """After an exception a rule on the result is silent, so that the exception is heard."""
    assert not holds(f"{source} {test}", error=ValueError("no"))
    assert not notes.said()


def test_an_exception_without_a_text_is_known_by_its_class() -> None:
    """`str(TimeoutError())` is empty."""
    assert holds("error matches ^Timeout", error=TimeoutError())


def test_a_pattern_is_not_asked_of_objects() -> None:
    """Their text may be huge or cyclic, and is never made; a tool may well give text or a dict."""

    class Secret:
        def __str__(self) -> str:
            raise AssertionError("it was turned into text")

    for found in ({"rows": [Secret()]}, Secret()):
        assert not holds("result matches x", found)
    assert not notes.said()


def test_error_alone_asks_whether_there_is_one() -> None:
    """An exception's class and attributes can be asked too."""
    assert holds("error", error=ValueError("x"))
    assert not holds("error", result=1)
    assert holds("error.errno == 5", error=OSError(5, "x"))
    assert holds("error matches minimum", error=ValueError("below the minimum"))


@pytest.mark.parametrize(
    ("text", "result", "expected"),
    [
        ("result == 7", "7", False),
        ("result != 7", "7", True),
        ("result > 7", "8", False),
        ('result == "7"', 7, False),
        ("result < 0.5", "low", False),
    ],
)
def test_text_against_number_is_a_named_line(text: str, result: Any, expected: bool) -> None:
    """Never equal, never ordered, and said once with rule, place and what was found."""
    assert holds(text, result) is expected
    assert holds(text, result) is expected
    assert notes.said() == [
        f"outcome.rejected: {text!r} compares a text with a number ({type(result).__name__} found)"
    ]


@pytest.mark.parametrize(("text", "result"), [("result > 7", [8]), ("result < 1", {"a": 1})])
def test_what_cannot_be_compared_does_not_hold(text: str, result: Any) -> None:
    """One line names the rule; the service runs on."""
    assert not holds(text, result)
    assert len(notes.said()) == 1
    assert text in notes.said()[0]


def test_a_value_that_fails_when_compared_does_not_hold() -> None:
    """What the service's own objects raise stays here."""

    class Broken:
        def __eq__(self, other: object) -> bool:
            raise RuntimeError("no answer")

        __hash__ = None  # type: ignore[assignment]

    assert not holds("result == 1", Broken())
    assert "no answer" in notes.said()[0]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("result = 7", "is no rule; write it like"),
        ("result ==", "compares with nothing"),
        ("result is none 7", "has '7' after 'is none', which takes nothing"),
        ("result in BUY", "after 'in' comes a list, like [BUY, SELL]"),
        ("result matches [", "is no"),
        ("result matches '('", "is no regular expression"),
        ('result == "open', "is no value"),
        ("result.x == 1 and result.y == 2", "asks two things"),
        ('result.x == "a" or error matches x', "asks two things"),
        ("result.x in [a, b] and not result.y in [c]", "asks two things"),
        ("result.x > 1 and x < 7", "asks two things"),
        ("result.x == 1 || result.x == 2", "asks two things"),
        ("result == None", "write `is none` or `is not none`"),
        ("result in [HOLD, None]", "null in a list"),
        ("result == NO", "YAML reads NO as False; quote it"),
        ("result in [BUY, on]", "YAML reads on as True; quote it"),
        ("result == 10:30", "YAML reads 10:30 as 630; quote it"),
        ("result == 0700", "YAML reads 0700 as 448; quote it"),
        ("result == error: limit", "YAML reads a mapping or a list; quote it"),
        ("result == # 7", "compares with nothing"),
        ("result == 2026-99-99", "is no value; quote it if it is a text"),
        ("result matches [ab]", "is no regular expression: quote it"),
        ('args.row["order id == 1', "is no rule"),
        ("outcome == 7", "begins with none of args, self, result"),
        ("", "is no rule"),
    ],
)
def test_what_is_no_rule_says_why(text: str, what: str) -> None:
    """The message shows the text and how a rule looks."""
    with pytest.raises(ValueError, match=re.escape(what)):
        parse(text)
