"""Read and validate tradespan.yaml; every error says file, line, path, value and a hint."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from yaml.constructor import SafeConstructor

from tradespan.mapping.config import Estate
from tradespan.settings import ConfigError

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast where it is built
_VARIABLE = r"\$\{([A-Za-z_]\w*)(?::-([^}]*))?\}"
_TEXT, _MERGE = "tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"
_KINDS = {bool: "boolean", int: "number", float: "number"}


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
    tree: Any = None
    try:
        tree = _composed(text)
        faults = [f"{file}:{line}: {what}" for line, what in _look(tree, (), {})]
        data = SafeConstructor().construct_document(tree) if tree and not faults else None
    except Exception as error:  # int() and datetime() of a scalar raise what they like
        raise FileError(file, [f"{file}:{_no_yaml(tree, error)}"]) from None
    if faults:
        raise FileError(file, faults)
    if not isinstance(data, dict):
        raise FileError(file, [f"{file}:1: holds no mapping; begin with version: 1"])
    own = {key: value for key, value in data.items() if not key.startswith("x-")}
    try:
        return Estate.model_validate(_expand(own, environ))
    except ValidationError as error:
        raise FileError(file, [_said(file, tree, e) for e in error.errors()]) from None


def _composed(text: str) -> Any:
    """The nodes of a text, read by the fast loader; the other one tells faults more exactly."""
    try:
        return yaml.compose(text, Loader=_Loader)
    except yaml.YAMLError:
        return yaml.compose(text, Loader=yaml.SafeLoader)


def _look(node: Any, place: tuple[str, ...], seen: dict[int, bool]) -> Iterator[tuple[int, str]]:
    """Let every key be the text that it is written as, and find what YAML lets pass.

    That is a key which stands twice in one mapping, of which YAML would silently keep the last, and
    an anchor that leads back into itself.

    Arguments:
        seen: nodes by id, true while their inside is looked at.
    """
    if not isinstance(node, yaml.CollectionNode):
        return
    if id(node) in seen:
        if seen[id(node)]:
            yield node.start_mark.line + 1, f"{'.'.join(place)}: leads back into itself"
        return
    seen[id(node)] = True
    if isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            yield from _look(item, (*place, str(number)), seen)
    else:
        words: set[str] = set()
        for key, value in node.value:
            here = (*place, str(key.value))
            if isinstance(key, yaml.ScalarNode):
                if key.value in words:
                    yield key.start_mark.line + 1, f"{'.'.join(here)}: is there twice"
                words.add(key.value)
                if key.tag != _MERGE:  # a stage called `on` and a word 1 are no boolean, no number
                    key.tag = _TEXT
            yield from _look(value, here, seen)
    seen[id(node)] = False


def _no_yaml(tree: Any, error: Exception) -> str:
    """Why a text is no YAML, or holds a value that is none, with the line."""
    if isinstance(error, yaml.YAMLError):
        mark = getattr(error, "problem_mark", None)
        return f"{mark.line + 1 if mark else 1}: no YAML: {getattr(error, 'problem', error)}"
    if isinstance(error, RecursionError):
        return "1: no YAML: it is nested too deeply"
    for node in _scalars(tree):
        try:
            SafeConstructor().construct_document(node)
        except Exception as own:
            return f"{node.start_mark.line + 1}: no YAML: {node.value!r}: {own}; quote it"
    return f"1: no YAML: {error}"


def _scalars(node: Any) -> Iterator[Any]:
    if isinstance(node, yaml.ScalarNode):
        yield node
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _scalars(item)
    elif isinstance(node, yaml.MappingNode):
        for _, value in node.value:
            yield from _scalars(value)


def _expand(value: Any, environ: Mapping[str, str]) -> Any:
    """Texts with `${NAME}` replaced by the environment; an unset one stays as it is."""
    if isinstance(value, dict):
        return {key: _expand(inner, environ) for key, inner in value.items()}
    if isinstance(value, list):
        return [_expand(inner, environ) for inner in value]
    if isinstance(value, str) and "${" in value:
        return re.sub(
            _VARIABLE, lambda m: environ.get(m[1]) or (m[0] if m[2] is None else m[2]), value
        )
    return value


def _said(file: Path, tree: Any, error: Any) -> str:
    """One fault in words."""
    place = [part for part in error["loc"] if not _internal(part)]
    line, written = _find(tree, place)
    path = ".".join(map(str, place)) or "the file"
    return f"{file}:{line}: {path}: {_message(error, place, written)}"


def _message(error: Any, place: list[Any], written: Any) -> str:
    """What is wrong, without pydantic's own words for it."""
    kind, given = error["type"], error.get("input")
    message: str = error["msg"].removeprefix("Value error, ")
    shown = "is empty" if given is None else f"{given!r:.80}"
    if kind == "extra_forbidden":
        return f"{place[-1]!r} is no key here; allowed: {_allowed(place)}"
    if kind == "missing":
        return "is missing"
    if kind == "model_type":
        what = shown if given is None else f"{shown} is no mapping"
        return f"{what}; allowed: {_allowed([*place, ''])}"
    if kind == "dict_type":
        return f"{shown if given is None else f'{shown} is no mapping'}; write NAME: value, or {{}}"
    if kind == "string_pattern_mismatch":
        return f"{shown} is no name; A to Z, a to z, 0 to 9, _, . and -, at most 64 of them"
    if kind == "string_type" and isinstance(written, yaml.ScalarNode) and given is not None:
        return f"{written.value} is a {_KINDS.get(type(given), 'date')} to YAML; quote it"
    if message.startswith((repr(given), "'", "services", "handoffs")):
        return message
    return f"{shown}: {message}"


def _internal(part: Any) -> bool:
    """Whether a part of the place is pydantic's own and not the file's."""
    return isinstance(part, str) and part.startswith(("function-", "tagged-union", "[key]"))


def _find(node: Any, place: Iterable[Any]) -> tuple[int, Any]:
    """The innermost node on the way that exists: its line, and itself where the way ends there."""
    line: int = node.start_mark.line + 1
    for part in place:
        if isinstance(node, yaml.MappingNode):  # a key of its own stands behind those it merged
            pairs = reversed(node.value)
            pair = next(((k, v) for k, v in pairs if k.value == str(part)), None)
            if pair is None:
                return line, None
            line, node = pair[0].start_mark.line + 1, pair[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            if part >= len(node.value):
                return line, None
            node = node.value[part]
            line = node.start_mark.line + 1
        else:
            return line, None
    return line, node


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
