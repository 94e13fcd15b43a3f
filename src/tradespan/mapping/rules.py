"""Rules on a call: `result is none`, `response.status == "error"`, `result.score > 0.8`.

Failures in this field are mostly return values, so the outcome of a stage is a rule on its result.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import yaml

from tradespan.mapping.notes import say_once
from tradespan.mapping.paths import MISSING, Call, Path
from tradespan.mapping.paths import parse as parse_path

_RULE = re.compile(
    r"^(?P<path>\S+)(?:\s+(?P<test>is not none|is none|is true|is false|not in|in|matches|"
    r"==|!=|<=|>=|<|>)(?:\s+(?P<value>.+))?)?$"
)
_Loader: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the fast one, where it is built
_NUMBERS: Final = (int, float)
_COMPARE: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    ">": lambda a, b: a > b,
    "<=": lambda a, b: a <= b,
    ">=": lambda a, b: a >= b,
    "in": lambda a, b: a in b,
    "not in": lambda a, b: a not in b,
    "matches": lambda a, b: re.search(b, str(a)) is not None,
}
_ALONE: Final[dict[str, Callable[[Any], bool]]] = {
    "is none": lambda a: a is None or a is MISSING,
    "is not none": lambda a: a is not None and a is not MISSING,
    "is true": lambda a: a is True,
    "is false": lambda a: a is False,
}


class Rule(NamedTuple):
    """A parsed rule.

    Attributes:
        text: as written.
        path: what it looks at.
        test: how; `error` alone asks whether there is one.
        value: what it is compared with.
    """

    text: str
    path: Path
    test: str
    value: Any = None

    def holds(self, call: Call, where: str) -> bool:
        """Whether it holds for this call; what cannot be compared is said once, and does not.

        Arguments:
            where: place in the file, for the message.
        """
        found = self.path.read(call)
        if self.test in _ALONE:
            return _ALONE[self.test](found)
        if found is MISSING:
            return False
        if _text_with_number(found, self.value):
            say_once(where, f"{self.text!r} compares a text with a number ({_kind(found)} found)")
            return self.test in ("!=", "not in")
        try:
            return bool(_COMPARE[self.test](found, self.value))
        except Exception as error:
            say_once(where, f"{self.text!r} cannot be asked of {_kind(found)}: {error}")
            return False


def parse(text: str) -> Rule:
    """Parse a rule.

    Raises:
        ValueError: what is wrong, and how a rule looks.
    """
    found = _RULE.match(text.strip())
    if found is None:
        raise ValueError(f'{text!r} is no rule; write it like response.status == "error"')
    path, test, raw = parse_path(found["path"]), found["test"], found["value"]
    if test is None:
        return Rule(text, path, "is not none" if path.source == "error" else "is true")
    if test in _ALONE:
        if raw:
            raise ValueError(f"{text!r} has {raw!r} after {test!r}, which takes nothing")
        return Rule(text, path, test)
    if raw is None:
        raise ValueError(f"{text!r} compares with nothing")
    return Rule(text, path, test, _value(text, test, raw))


def _value(text: str, test: str, raw: str) -> Any:
    try:
        value = yaml.load(raw, Loader=_Loader)  # noqa: S506 - a safe one
    except yaml.YAMLError:
        raise ValueError(f"{text!r}: {raw!r} is no value") from None
    if test in ("in", "not in") and not isinstance(value, list):
        raise ValueError(f"{text!r}: after {test!r} comes a list, like [BUY, SELL]")
    if test == "matches":
        try:
            re.compile(str(value))
        except re.error as error:
            raise ValueError(f"{text!r}: {raw!r} is no regular expression: {error}") from None
        return str(value)
    return value


def _text_with_number(found: Any, value: Any) -> bool:
    one, other = isinstance(found, str), isinstance(value, str)
    number = value if one else found
    return one != other and isinstance(number, _NUMBERS) and not isinstance(number, bool)


def _kind(value: Any) -> str:
    return type(value).__name__
