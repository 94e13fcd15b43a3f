"""The house as it is meant: rooms that import downwards only, small modules, everything named."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tradespan.semconv.metrics import METRICS

SRC = Path(__file__).parents[1] / "src"

FLOORS = [
    # the read side: at a desk
    ["__main__"],
    ["cli"],
    ["report"],
    ["backends", "lab"],
    # the write side: inside a service
    ["__init__", "compat"],
    ["distro"],
    ["mapping"],
    ["stages"],
    ["handoffs"],
    ["recorders"],
    ["export"],
    ["journey", "current", "memory", "instruments", "decorate"],
    ["readings", "standin"],
    ["guard"],
    # of both
    ["settings"],
    ["semconv", "bundle"],
]
"""From the roof down: a room imports what stands below it, or itself; not its neighbour."""

READ = {"__main__", "cli", "report", "backends", "lab"}
SHARED = {"settings", "semconv", "bundle"}
FILE = {"config", "fields", "load", "notes", "paths", "rules", "targets"}
"""Modules of mapping that only read tradespan.yaml; `check` reads it too."""
API_ONLY = {
    "compat", "stages", "handoffs", "recorders", "journey", "current", "memory", "instruments",
    "decorate", "readings", "standin", "guard",
}  # fmt: skip
DRAWERS = {"utils", "util", "helpers", "common", "types", "constants", "misc", "base"}


def name_of(path: Path) -> str:
    """The module's name."""
    parts = path.relative_to(SRC).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in sorted((SRC / "tradespan").rglob("*.py"))}
TREES = {name: ast.parse(path.read_text()) for name, path in MODULES.items()}
GENERATED = {m for m, tree in TREES.items() if "do not edit" in (ast.get_docstring(tree) or "")}


def room(module: str) -> str:
    """The room that a module is in: the first part of its name below the package."""
    return [*module.split("."), "__init__"][1]


def modules(*, rooms: set[str] | None = None, but: set[str] | None = None) -> pytest.MarkDecorator:
    """A test for each module of these rooms, or of all but those."""
    chosen = [m for m in MODULES if (rooms is None or room(m) in rooms)]
    return pytest.mark.parametrize("module", [m for m in chosen if room(m) not in (but or set())])


def imports(module: str) -> Iterator[str]:
    """Everything that a module imports, inside functions too; names resolved to modules."""
    package = module if MODULES[module].name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(TREES[module]):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, *([base] if base else [])])
            for alias in node.names:
                below = f"{base}.{alias.name}"
                yield below if below in MODULES or not base.startswith("tradespan") else base


def ours(module: str) -> set[str]:
    """The modules of ours that a module imports."""
    return {name for name in imports(module) if name in MODULES}


def floor(module: str) -> int:
    """Number of the floor from the roof down."""
    return next(n for n, rooms in enumerate(FLOORS) if room(module) in rooms)


def docstrings(tree: ast.Module) -> set[int]:
    """Ids of the nodes that are texts standing by themselves: docstrings."""
    return {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }


def test_every_room_has_its_floor() -> None:
    """A new room is given its place here first; none has two, and none is a drawer."""
    rooms = [name for rooms in FLOORS for name in rooms]
    assert len(rooms) == len(set(rooms))
    assert {room(module) for module in MODULES} == set(rooms)
    assert not {part for module in MODULES for part in module.split(".")} & DRAWERS


def test_there_is_no_circle() -> None:
    """No chain of imports, also of those inside functions, leads back to where it began."""
    try:
        tuple(TopologicalSorter({m: ours(m) - {m} for m in MODULES}).static_order())
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


@modules()
def test_imports_lead_downwards(module: str) -> None:
    """A module imports from its own room and from the floors below."""
    upwards = {
        name for name in ours(module) if room(name) != room(module) and floor(name) <= floor(module)
    }
    assert not upwards


@modules()
def test_write_side_and_read_side_keep_apart(module: str) -> None:
    """A service never loads what is for a desk, and a desk nothing of what wraps a service."""
    file = {"tradespan.mapping", *(f"tradespan.mapping.{name}" for name in FILE)}
    rooms = {room(name) for name in ours(module) if name not in file or room(module) != "cli"}
    if room(module) in READ:
        assert rooms <= READ | SHARED
    else:
        assert not rooms & READ


@modules(rooms=API_ONLY | SHARED | {"__init__"})
def test_the_inner_rooms_use_the_api_only(module: str) -> None:
    """Stages work with whatever SDK, or none, the service has."""
    wrong = {
        name
        for name in imports(module)
        if re.match(r"opentelemetry\.(sdk|exporter|instrumentation|distro)\b", name)
    }
    assert not wrong


@pytest.mark.parametrize("module", sorted(set(MODULES) - GENERATED))
def test_modules_and_functions_are_short(module: str) -> None:
    """A module is read in one go, a function on one screen."""
    lines = MODULES[module].read_text().count("\n")
    assert lines <= 260, f"{lines} lines"
    for node in ast.walk(TREES[module]):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or 0) - node.lineno + 1
            assert length <= 45, f"{node.name}: {length} lines"


def undocumented(body: list[ast.stmt], prefix: str = "") -> Iterator[str]:
    """Public classes, functions and methods without a docstring."""
    for node in body:
        if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        overload = any(ast.unparse(d).endswith("overload") for d in node.decorator_list)
        if node.name.startswith("_") or overload:
            continue
        if not ast.get_docstring(node):
            yield prefix + node.name
        if isinstance(node, ast.ClassDef):
            yield from undocumented(node.body, f"{node.name}.")


@modules()
def test_everything_public_is_documented(module: str) -> None:
    """The module itself, and every public class, function and method of it."""
    assert ast.get_docstring(TREES[module])
    assert not list(undocumented(TREES[module].body))


@modules()
def test_only_settings_reads_the_environment(module: str) -> None:
    """There is one reader of the environment."""
    reads = {
        ast.unparse(node)
        for node in ast.walk(TREES[module])
        if isinstance(node, ast.Attribute)
        and ast.unparse(node) in ("os.environ", "os.getenv", "os.environb", "os.putenv")
    } | {name for name in imports(module) if name in ("os.environ", "os.getenv")}
    assert not reads or module == "tradespan.settings"


@modules(but={"semconv"})
def test_no_telemetry_name_outside_the_registry(module: str) -> None:
    """Names of attributes and metrics are written in semconv, and imported everywhere else."""
    known = {metric.name for metric in METRICS}
    spared = docstrings(TREES[module])
    written = {
        node.value
        for node in ast.walk(TREES[module])
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and id(node) not in spared
        and (node.value in known or re.search(r"(?<![\w.*])(trading|gen_ai)\.[a-z]", node.value))
    }
    assert not written


@modules(but=READ)
def test_nothing_is_said_on_stdout_inside_a_service(module: str) -> None:
    """The write side speaks by logging only."""
    calls = [
        ast.unparse(node.func) for node in ast.walk(TREES[module]) if isinstance(node, ast.Call)
    ]
    assert "print" not in calls
    assert not [name for name in calls if name.startswith(("sys.stdout", "sys.stderr"))]


def test_what_is_imported_is_depended_on() -> None:
    """A bare `pip install tradespan` has every package that a module needs when it is imported."""
    declared = tomllib.loads((SRC.parent / "pyproject.toml").read_text())["project"]
    names = {re.split(r"[^A-Za-z0-9_-]", text)[0].lower() for text in declared["dependencies"]}
    packages = {name.partition("-")[0] for name in names} | {n.replace("-", "_") for n in names}
    # of PyYAML, of the OTLP exporter's protobuf, and of pydantic, which pins it
    packages |= {"yaml", "google", "pydantic_core"}
    for module, tree in TREES.items():
        needed = {
            alias.name.partition(".")[0]
            for node in tree.body
            if isinstance(node, ast.Import)
            for alias in node.names
        } | {
            (node.module or "").partition(".")[0]
            for node in tree.body
            if isinstance(node, ast.ImportFrom) and not node.level
        }
        foreign = needed - set(sys.stdlib_module_names) - {"tradespan", "__future__"}
        assert foreign <= packages, f"{module} needs {foreign - packages}"
