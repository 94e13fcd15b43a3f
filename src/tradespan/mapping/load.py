"""Read and validate tradespan.yaml; every error says file, line, path, value and a hint."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from yaml.constructor import SafeConstructor

from tradespan.mapping.config import Estate
from tradespan.settings import ConfigError

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast where it is built
_VARIABLE = r"\$\{([A-Za-z_]\w*)(?::-([^}]*))?\}"


class FileError(ConfigError):
    """A tradespan.yaml that cannot be used.

    Attributes:
        errors: one text for each fault: `FILE:LINE: PATH: what; hint`.
    """

    def __init__(self, file: Path, errors: list[str]) -> None:
        super().__init__("TRADESPAN_CONFIG", str(file), "\n      ".join(errors))
        self.errors = errors


def load(file: Path, environ: Mapping[str, str]) -> Estate:
    """The validated file.

    Arguments:
        file: path.
        environ: what `${NAME}` and `${NAME:-default}` in its texts stand for.

    Raises:
        FileError: names every fault.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise FileError(file, [f"{file}: cannot be read: {error}"]) from None
    try:
        tree = _composed(text)
        data = SafeConstructor().construct_document(tree) if tree is not None else None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        fault = f"{file}:{line}: no YAML: {getattr(error, 'problem', error)}"
        raise FileError(file, [fault]) from None
    twice = _twice(tree, ())
    if twice:
        raise FileError(file, [f"{file}:{line}: {place}: is there twice" for line, place in twice])
    if not isinstance(data, dict):
        raise FileError(file, [f"{file}:1: holds no mapping; begin with version: 1"])
    try:
        return Estate.model_validate(_expand(data, environ))
    except ValidationError as error:
        raise FileError(file, [_said(file, tree, e) for e in error.errors()]) from None


def _composed(text: str) -> Any:
    """The nodes of a text, read by the fast loader; the other one tells faults more exactly."""
    try:
        return yaml.compose(text, Loader=_Loader)
    except yaml.YAMLError:
        return yaml.compose(text, Loader=yaml.SafeLoader)


def _twice(node: Any, place: tuple[str, ...]) -> list[tuple[int, str]]:
    """Keys that stand twice in one mapping, of which YAML would silently keep the last."""
    found: list[tuple[int, str]] = []
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            here = (*place, str(key.value))
            if key.value in seen:
                found.append((key.start_mark.line + 1, ".".join(here)))
            seen.add(key.value)
            found += _twice(value, here)
    elif isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            found += _twice(item, (*place, str(number)))
    return found


def _expand(value: Any, environ: Mapping[str, str]) -> Any:
    """Texts with `${NAME}` replaced by the environment; an unset one stays as it is."""
    if isinstance(value, dict):
        return {key: _expand(inner, environ) for key, inner in value.items()}
    if isinstance(value, list):
        return [_expand(inner, environ) for inner in value]
    if isinstance(value, str) and "${" in value:
        return re.sub(_VARIABLE, lambda m: environ.get(m[1]) or m[2] or m[0], value)
    return value


def _said(file: Path, tree: Any, error: Any) -> str:
    """One fault in words."""
    place = [part for part in error["loc"] if not _internal(part)]
    line = _line(tree, place)
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "extra_forbidden":
        message = f"{place[-1]!r} is no key here; allowed: {_allowed(place)}"
    elif error["type"] == "missing":
        message = "is missing"
    elif not message.startswith((repr(error.get("input")), "'", "services", "handoffs")):
        message = f"{error.get('input')!r:.80}: {message}"
    return f"{file}:{line}: {'.'.join(map(str, place)) or 'the file'}: {message}"


def _internal(part: Any) -> bool:
    """Whether a part of the place is pydantic's own and not the file's."""
    return isinstance(part, str) and part.startswith(("function-", "tagged-union", "[key]"))


def _line(node: Any, place: Iterable[Any]) -> int:
    """The line of the innermost node on the way that exists."""
    line: int = node.start_mark.line + 1
    for part in place:
        if isinstance(node, yaml.MappingNode):
            pair = next(((k, v) for k, v in node.value if k.value == str(part)), None)
            if pair is None:
                return line
            line, node = pair[0].start_mark.line + 1, pair[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            if part >= len(node.value):
                return line
            node = node.value[part]
            line = node.start_mark.line + 1
        else:
            return line
    return line


def _allowed(place: list[Any]) -> str:
    """Keys that the model has where an unknown one stands."""
    model: Any = Estate
    for part in place[:-1]:  # a name of a mapping leads to the model that it is already
        if part in getattr(model, "model_fields", {}):
            model = _models(model.model_fields[part].annotation)
    return ", ".join(getattr(model, "model_fields", {})) or "none"


def _models(annotation: Any) -> Any:
    """The model that an annotation holds: itself, or what a mapping or a list is of."""
    if hasattr(annotation, "model_fields"):
        return annotation
    for inner in reversed(getattr(annotation, "__args__", ())):
        found = _models(inner)
        if found is not None:
            return found
    return None
