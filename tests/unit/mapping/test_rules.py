"""What a rule asks, and what it says where it cannot be asked."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tradespan.mapping import notes
from tradespan.mapping.paths import MISSING, Call, Signature
from tradespan.mapping.rules import parse


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
    ],
)
def test_every_operator(text: str, result: Any, expected: bool) -> None:
    """Values are YAML: true, 7, BUY and "BUY"; what is missing satisfies `is none` alone."""
    assert holds(text, result) is expected
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
        ("outcome == 7", "begins with none of args, self, result"),
        ("", "is no rule"),
    ],
)
def test_what_is_no_rule_says_why(text: str, what: str) -> None:
    """The message shows the text and how a rule looks."""
    with pytest.raises(ValueError, match=re.escape(what)):
        parse(text)
