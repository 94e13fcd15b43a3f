"""Paths into a call: `args.candle.close_time`, `self.symbol`, `result[0].price`, `env.HOST`.

A path that leads nowhere is no error: it reads as MISSING. Nothing that is read is changed, copied
or turned into text; what the service's own properties raise stays here.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from tradespan.settings import environment

SOURCES: Final = ("args", "self", "result", "response", "error", "env")
LITERAL: Final = "literal"
BEFORE: Final = ("args", "self", "env", LITERAL)
"""Sources that are known before the call."""

_STEP = re.compile(r"\.([A-Za-z0-9_][\w-]*)|\[(\d+)\]|\[(?:\"([^\"]*)\"|'([^']*)')\]")


class _Missing:
    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = _Missing()
"""What a path reads where it leads nowhere."""


class Signature(NamedTuple):
    """Parameters of a function.

    Attributes:
        names: of those that can be given by position, in order.
        defaults: values of those that need not be given.
    """

    names: tuple[str, ...] = ()
    defaults: Mapping[str, Any] = MappingProxyType({})


@dataclass(eq=False)
class Call:
    """One call of a mapped function.

    Attributes:
        signature: parameters of the function.
        args: positional arguments, the instance included.
        kwargs: keyword arguments.
        bound: whether the first positional argument is the instance or class.
        result: what it returned, or MISSING.
        error: what it raised, or None.
    """

    signature: Signature
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    bound: bool = False
    result: Any = MISSING
    error: BaseException | None = None

    def argument(self, name: str | int) -> Any:
        """An argument by name, or by position without the instance; MISSING where not given."""
        if isinstance(name, int) or name.isdigit():
            at = int(name) + self.bound
            return self.args[at] if at < len(self.args) else MISSING
        if name in self.kwargs:
            return self.kwargs[name]
        if name in self.signature.names:
            at = self.signature.names.index(name)
            if at < len(self.args):
                return self.args[at]
        return self.signature.defaults.get(name, MISSING)


class Path(NamedTuple):
    """A parsed path.

    Attributes:
        text: as written.
        source: one of SOURCES, or LITERAL for a quoted text.
        steps: attributes, keys and indexes to follow.
    """

    text: str
    source: str
    steps: tuple[str | int, ...] = ()

    @property
    def before(self) -> bool:
        """Whether it can be read before the call."""
        return self.source in BEFORE

    def read(self, call: Call) -> Any:
        """The value in this call, or MISSING. Never raises."""
        value, steps = self._start(call)
        for step in steps:
            if value is MISSING:
                return MISSING
            value = _follow(value, step)
        return value

    def _start(self, call: Call) -> tuple[Any, tuple[str | int, ...]]:
        if self.source == LITERAL:
            return self.steps[0], ()
        if self.source == "args":
            return (call.argument(self.steps[0]), self.steps[1:]) if self.steps else (call.args, ())
        if self.source == "self":
            return (call.args[0] if call.bound and call.args else MISSING), self.steps
        if self.source == "error":
            return (MISSING if call.error is None else call.error), self.steps
        if self.source == "env":
            return environment().get(str(self.steps[0]), MISSING), self.steps[1:]
        if self.source == "response":
            return _body(call.result, self.steps), self.steps
        return call.result, self.steps


def parse(text: str) -> Path:
    """Parse a path.

    Raises:
        ValueError: what is wrong, and how a path looks.
    """
    text = text.strip()
    if len(text) > 1 and text[0] in "\"'" and text[-1] == text[0]:
        return Path(text, LITERAL, (text[1:-1],))
    source = re.match(r"[a-z]+", text)
    if source is None or source[0] not in SOURCES:
        raise ValueError(f"{text!r} begins with none of {', '.join(SOURCES)}")
    steps: list[str | int] = []
    at = source.end()
    while at < len(text):
        found = _STEP.match(text, at)
        if found is None:
            raise ValueError(
                f"{text!r} cannot be read from {text[at:]!r} on; a path is like result.rows[0].id"
            )
        name, index, *quoted = found.groups()
        steps.append(
            int(index) if index is not None else name or next(q for q in quoted if q is not None)
        )
        at = found.end()
    if source[0] == "env" and not steps:
        raise ValueError(f"{text!r} names no variable; write env.NAME")
    return Path(text, source[0], tuple(steps))


def signature(function: Callable[..., Any]) -> Signature:
    """The parameters of a function, none where it will not say."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return Signature()
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return Signature(
        tuple(p.name for p in parameters if p.kind in kinds),
        {p.name: p.default for p in parameters if p.default is not inspect.Parameter.empty},
    )


def _follow(value: Any, step: str | int) -> Any:
    """One step: a key of a mapping, an index, an attribute, or the length."""
    try:
        if isinstance(value, Mapping):
            if step in value:
                return value[step]
            if str(step).encode() in value:  # Redis without decode_responses
                return value[str(step).encode()]
            return len(value) if step == "length" else MISSING
        if isinstance(step, int) or step.isdigit():
            return value[int(step)]
        if hasattr(value, step):
            return getattr(value, step)
        if hasattr(value, "keys"):  # a row of sqlite3, a frame of pandas
            with suppress(LookupError):
                return value[step]
        return len(value) if step == "length" else MISSING
    except Exception:
        return MISSING


def _body(result: Any, steps: tuple[str | int, ...]) -> Any:
    """The body of an HTTP answer: what the handler returned, or the JSON inside its response."""
    raw = getattr(result, "body", None)
    if not isinstance(raw, bytes) or (steps and steps[0] in ("status_code", "headers")):
        return result
    try:
        return json.loads(raw)
    except ValueError:
        return MISSING
