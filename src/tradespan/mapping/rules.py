"""Rules on a call: `result is none`, `response.status == "error"`, `result.score > 0.8`.

Failures in this field are mostly return values, so the outcome of a stage is a rule on its result.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import yaml
from yaml.constructor import SafeConstructor

from tradespan.mapping.notes import say_once
from tradespan.mapping.paths import MISSING, SOURCES, Call, Path
from tradespan.mapping.paths import parse as parse_path
from tradespan.mapping.reading import SCALARS, as_written

_RULE = re.compile(
    r"^(?P<path>(?:[^\s\[]|\[(?![\"'])|\[(?:\"[^\"]*\"|'[^']*')\])+)"  # a key in quotes
    r"(?:\s+(?P<test>is not none|is none|is true|is false|not in|in|matches|"
    r"==|!=|<=|>=|<|>)(?:\s+(?P<value>.+))?)?$"
)
# Seldom asked, so each is compiled when it is: that costs more than a whole rule.
_QUOTED: Final = r"\"[^\"]*\"|'[^']*'"
_SECOND: Final = (  # what begins a second rule: a path with more after it, or a comparison
    r"\s(?:and|or|AND|OR|&&|\|\|)\s+(?:not\s+)?"
    rf"(?:(?:{'|'.join(SOURCES)})(?:[.\[]|\s+(?:is|in|not|matches)\s)|\S+\s*(?:[=!<>]=|[<>]))"
)
_ODD: Final = (  # plain words that YAML takes for booleans, octal numbers, numbers of base 60
    r"(?i:yes|no|on|off)|[-+]?0[0-7_]+|[-+]?\d[\d_]*(?::[0-5]?\d)+(?:\.[\d_]*)?"
)
_EXPONENT: Final = r"[-+]?\d+(?:\.\d*)?[eE][-+]?\d+"  # for YAML a text, if not 1.0e+3
_STR, _FLOAT = "tag:yaml.org,2002:str", "tag:yaml.org,2002:float"
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
    # of no object, whose text may be huge or cyclic
    "matches": lambda a, b: isinstance(a, SCALARS) and re.search(b, str(a)) is not None,
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
        if self.path.source in ("result", "response") and call.result is MISSING:
            return False  # it raised: there is no result of which anything could hold
        found = as_written(self.path.read(call))
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
    if " " in raw and re.search(_SECOND, re.sub(_QUOTED, "", raw)):
        raise ValueError(
            f"{text!r} asks two things; for `or` write a list of rules, `and` there is none; "
            "quote the value if it is a text"
        )
    try:
        node = yaml.compose(raw, Loader=_Loader)
    except yaml.YAMLError:
        raise ValueError(f"{text!r}: {raw!r} is no value") from None
    if node is None:  # a comment
        raise ValueError(f"{text!r} compares with nothing; quote {raw!r} if it is a text")
    if test == "matches":
        return _pattern(text, raw, node)
    _look(text, node)
    try:
        value = SafeConstructor().construct_document(node)
    except (yaml.YAMLError, ValueError):
        raise ValueError(f"{text!r}: {raw!r} is no value; quote it if it is a text") from None
    if test in ("in", "not in") and not isinstance(value, list):
        raise ValueError(f"{text!r}: after {test!r} comes a list, like [BUY, SELL]")
    return value


def _pattern(text: str, raw: str, node: Any) -> str:
    """The regular expression, as it is written."""
    try:
        if isinstance(node, yaml.ScalarNode):
            re.compile(node.value)
            return str(node.value)
        error = "quote it"
    except re.error as reason:
        error = str(reason)
    raise ValueError(f"{text!r}: {raw!r} is no regular expression: {error}")


def _look(text: str, node: Any) -> None:
    """Refuse plain words that YAML, or we, read otherwise than they look; 1e3 is a number."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style:  # a text like `error: x`
        raise ValueError(f"{text!r}: YAML reads a mapping or a list; quote it")
    for one in node.value if isinstance(node, yaml.SequenceNode) else [node]:
        if not isinstance(one, yaml.ScalarNode) or one.style:
            continue
        if one.value == "None":
            raise ValueError(
                f"{text!r}: None is a text here; write `is none` or `is not none`, null in a list, "
                "or quote it"
            )
        if one.tag != _STR and re.fullmatch(_ODD, one.value):
            read = SafeConstructor().construct_document(one)
            raise ValueError(f"{text!r}: YAML reads {one.value} as {read!r}; quote it")
        if one.value[-1:].isdigit() and re.fullmatch(_EXPONENT, one.value):
            one.tag = _FLOAT


def _text_with_number(found: Any, value: Any) -> bool:
    one, other = isinstance(found, str), isinstance(value, str)
    number = value if one else found
    return one != other and isinstance(number, _NUMBERS) and not isinstance(number, bool)


def _kind(value: Any) -> str:
    return type(value).__name__
