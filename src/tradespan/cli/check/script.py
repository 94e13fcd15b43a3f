"""The names of a script, found by reading it: it is never run."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_Function = ast.FunctionDef | ast.AsyncFunctionDef
_ROUTES = {"get", "post", "put", "patch", "delete", "head", "options", "route", "api_route"}
_REGISTERS = _ROUTES | {
    "actor", "command", "event", "job", "listens_for", "on_event", "register", "scheduled_job",
    "subscriber", "task", "websocket",
}  # fmt: skip
"""Decorators of these names, as @app.get, keep the function that they are given."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a script has under a name.

    Attributes:
        what: in words.
        line: where it is defined.
        parameters: of a function; None where they cannot be told by reading.
        taken_by: the decorator that registers it as it is, before it can be wrapped; mostly empty.
        is_route: whether that is a route.
    """

    what: str
    line: int
    parameters: frozenset[str] | None = None
    taken_by: str = ""
    is_route: bool = False


class Script:
    """A script that has been read.

    Arguments:
        path: of the script.

    Raises:
        SyntaxError: it is no Python.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._tree = ast.parse(path.read_bytes(), str(path))

    def names(self, owner: tuple[str, ...] = ()) -> list[str]:
        """What the script, or a class of it, defines."""
        return sorted({name for name, _ in self._defined(owner)})

    def find(self, names: tuple[str, ...]) -> Found | None:
        """What is under these names, the last of them inside the others; None where nothing is."""
        for name, node in self._defined(names[:-1]):
            if name == names[-1]:
                return _described(node)
        return self._inherited(names)

    def _inherited(self, names: tuple[str, ...]) -> Found | None:
        """A method that a base class may have, which reading cannot tell."""
        for at in range(len(names) - 1, 0, -1):
            owner = next(
                (n for name, n in self._defined(names[: at - 1]) if name == names[at - 1]), None
            )
            if isinstance(owner, ast.ClassDef):
                bases = ", ".join(ast.unparse(base) for base in owner.bases)
                if bases and at == len(names) - 1:
                    return Found(f"may come from {bases}", owner.lineno)
                return None
            if owner is not None and not isinstance(owner, _Function):
                return Found("is made or imported; reading cannot tell more", owner.lineno)
        return None

    def _defined(self, owner: tuple[str, ...]) -> list[tuple[str, ast.stmt]]:
        body: list[ast.stmt] = self._tree.body
        for name in owner:
            classes = [c for n, c in _names(body) if n == name and isinstance(c, ast.ClassDef)]
            if not classes:
                return []
            body = classes[-1].body
        return list(_names(body))


def _names(body: list[ast.stmt]) -> Iterator[tuple[str, ast.stmt]]:
    """Names that these statements bind, those inside `if`, `try` and the like included."""
    for node in body:
        if isinstance(node, _Function | ast.ClassDef):
            yield node.name, node
            continue
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from ((a.asname or a.name.partition(".")[0], node) for a in node.names)
        for inner in ast.iter_child_nodes(node):
            if isinstance(inner, ast.Name | ast.Tuple) and isinstance(node, ast.Assign):
                yield from (
                    (n.id, node) for n in ast.walk(inner)
                    if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
                )  # fmt: skip
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id, node
        for part in ("body", "orelse", "finalbody"):
            yield from _names(getattr(node, part, []))
        for handler in getattr(node, "handlers", []):
            yield from _names(handler.body)


def _described(node: ast.stmt) -> Found:
    if isinstance(node, ast.ClassDef):
        return Found("class", node.lineno)
    if not isinstance(node, _Function):
        kind = "imported" if isinstance(node, ast.Import | ast.ImportFrom) else "a value"
        return Found(kind, node.lineno)
    kind = "coroutine function" if isinstance(node, ast.AsyncFunctionDef) else "function"
    given = node.args
    if given.kwarg or node.decorator_list:
        return Found(kind, node.lineno, None, *_registered(node.decorator_list))
    every = [*given.posonlyargs, *given.args, *given.kwonlyargs]
    return Found(kind, node.lineno, frozenset(a.arg for a in every))


def _registered(decorators: list[ast.expr]) -> tuple[str, bool]:
    """The decorator that registers a function, and whether it makes a route of it."""
    for decorator in decorators:
        made_by = decorator.func if isinstance(decorator, ast.Call) else decorator
        if isinstance(made_by, ast.Attribute) and made_by.attr in _REGISTERS:
            return f"@{ast.unparse(made_by)}", made_by.attr in _ROUTES
    return "", False
