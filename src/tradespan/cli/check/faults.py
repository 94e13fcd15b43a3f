"""One fault of the file, and where it stands."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal

import yaml

Level = Literal["error", "warning", "note"]
Place = tuple[str | int, ...]
"""Keys and indexes that lead to a place in the file."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong, or should be known.

    Attributes:
        level: `error` (cannot work), `warning` (works, but hardly as meant) or `note`.
        file: path of the file.
        line: from 1.
        path: keys that lead there, with dots.
        message: what is wrong, with the value.
        hint: how to mend it, or an empty string.
    """

    level: Level
    file: str
    line: int
    path: str
    message: str
    hint: str = ""

    def said(self) -> str:
        """The fault in words: one line, and one for the hint."""
        hint = f"\n  hint: {self.hint}" if self.hint else ""
        return f"{self.file}:{self.line}: {self.level}: {self.path}: {self.message}{hint}"


class Page:
    """The text of the file: tells the line of a place.

    Arguments:
        file: its name, for the faults.
        text: its content, valid YAML.
    """

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.tree = yaml.compose(text, Loader=yaml.SafeLoader)
        self.faults: list[Fault] = []

    def error(self, place: Place, message: str, hint: str = "") -> None:
        """What cannot work."""
        self._add("error", place, message, hint)

    def warning(self, place: Place, message: str, hint: str = "") -> None:
        """What works, but hardly as meant."""
        self._add("warning", place, message, hint)

    def note(self, place: Place, message: str, hint: str = "") -> None:
        """What should be known."""
        self._add("note", place, message, hint)

    def _add(self, level: Level, place: Place, message: str, hint: str) -> None:
        path = ".".join(map(str, place))
        self.faults.append(Fault(level, self.file, self.line(place), path, message, hint))

    def line(self, place: Place) -> int:
        """The line of a place, or of what is there on the way to it."""
        node: Any = self.tree
        line = 1
        for part in place:
            if isinstance(node, yaml.MappingNode):
                pair = next(((k, v) for k, v in node.value if k.value == str(part)), None)
                if pair is None:
                    break
                line, node = pair[0].start_mark.line + 1, pair[1]
            elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
                if part >= len(node.value):
                    break
                node = node.value[part]
                line = node.start_mark.line + 1
            else:
                break
        return line


def near(name: str, known: Iterable[str], before: str = "") -> str:
    """A hint that names what may be meant, or an empty string."""
    close = get_close_matches(name, sorted(known), 1)
    return f"did you mean {before}{close[0]}?" if close else ""
