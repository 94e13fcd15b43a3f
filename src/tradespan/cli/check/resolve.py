"""Every target of the file, tried in this environment as the service itself would."""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from tradespan.cli.check.arguments import check_arguments, parameters_of
from tradespan.cli.check.faults import Page, Place, near
from tradespan.cli.check.script import Script
from tradespan.cli.check.taken import warn_if_taken
from tradespan.mapping import targets
from tradespan.mapping.config import Estate, Model, Service
from tradespan.mapping.targets import Target, Unwrappable


@dataclass(frozen=True, slots=True)
class Tried:
    """What became of one target.

    Attributes:
        service: whose it is.
        target: as written.
        state: `exists`, `refused` (is there and cannot be wrapped), `missing`, or `unknown`.
        what: what it is, or why not.
    """

    service: str
    target: str
    state: Literal["exists", "refused", "missing", "unknown"]
    what: str


class _Missing(Exception):  # noqa: N818 - a reason, not a fault
    """Why there is no such thing, with a hint."""

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.hint = hint


def try_all(
    estate: Estate, page: Page, services: list[str], scripts: dict[str, str]
) -> list[Tried]:
    """Try the targets of these services; what is missing or refused becomes a fault.

    Arguments:
        page: takes the faults.
        scripts: path of the script that is `__main__`, by service; one that is not given is
            looked for beside the file.
    """
    found = []
    for name in services:
        script = _script(name, Path(page.file), scripts)
        for place, target, part in _targets(estate.services[name], ("services", name)):
            one, parameters = _try(name, place, target, script, page)
            found.append(one)
            if part is not None and parameters is not None:
                check_arguments(part, place, target, parameters, page)
            if one.state == "exists":
                warn_if_taken(target, script, place, page)
        found += _without_name(name, estate.services[name], page)
    return found


def _without_name(service: str, parts: Service, page: Page) -> Iterator[Tried]:
    """Clients that are installed or not, and routes, which only the running application has."""
    for name, calls in parts.calls.items():
        if calls.client is None:
            continue
        if _installed(calls.client):
            yield Tried(service, calls.client, "exists", "client, installed here")
        else:
            page.error(
                ("services", service, "calls", name, "client"),
                f"{calls.client} is not installed here",
                "run it with the service's own interpreter",
            )
            yield Tried(service, calls.client, "missing", "not installed here")
    for stage in parts.stages.values():
        for method, path in stage.route:
            said = "a route is seen when FastAPI makes the application; the start's summary says"
            yield Tried(service, f"{method} {path}", "unknown", said)


def _installed(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # the package around it
        return False


def _targets(service: Service, at: Place) -> Iterator[tuple[Place, Target, Model | None]]:
    for name, stage in service.stages.items():
        yield from (((*at, "stages", name, "run"), t, stage) for t in stage.run)
        yield from (((*at, "stages", name, "returns"), t, None) for t in stage.returns)
    for name, send in service.send.items():
        yield from (((*at, "send", name, "after"), t, send) for t in send.after)
    for name, calls in service.calls.items():
        yield from (((*at, "calls", name), t, None) for t in calls.run)
    for name, value in service.values.items():
        yield from (((*at, "values", name, "after"), t, value) for t in value.after)
    for name, count in service.counts.items():
        yield from (((*at, "counts", name, "after"), t, count) for t in count.after)
        yield from (((*at, "counts", name, "raises"), t, None) for t in count.raises)


def _script(service: str, file: Path, given: dict[str, str]) -> Path | None:
    """The script of a service: as given, else named like it, beside the file or here."""
    if service in given:
        return Path(given[service])
    for folder in (file.resolve().parent, Path.cwd()):
        for name in (f"{service}.py", f"{service.replace('-', '_')}.py"):
            if (folder / name).is_file():
                return folder / name
    return None


def _try(
    service: str, place: Place, target: Target, script: Path | None, page: Page
) -> tuple[Tried, frozenset[str] | None]:
    """What became of it, and the names of its parameters where they are known and all."""
    parameters = None
    state: Literal["exists", "refused", "missing", "unknown"] = "exists"
    try:
        if target.module == "__main__":
            state, what, parameters = _read(service, target, script)
            if state == "unknown":
                page.note(place, f"{target.text}: {what}")
        else:
            what, parameters = _import(target, place)
    except _Missing as reason:
        state, what = "missing", str(reason)
        page.error(place, f"{target.text}: {what}", reason.hint)
    except Unwrappable as reason:
        state, what = "refused", str(reason)
        page.error(place, f"{target.text} cannot be wrapped: {what}")
    return Tried(service, target.text, state, what), parameters


def _read(
    service: str, target: Target, script: Path | None
) -> tuple[Literal["exists", "unknown"], str, frozenset[str] | None]:
    """Look a name of a script up without running it."""
    if script is None:
        return "unknown", f"name the script: --script {service}=PATH", None
    try:
        source = Script(script)
    except (SyntaxError, ValueError) as error:
        raise _Missing(f"{script} is no Python: {error}") from None
    found = source.find(target.names)
    if found is None:
        inside = "".join(f"{name}." for name in target.names[:-1])
        owner = source.find(target.names[:-1]) if inside else None
        raise _Missing(
            f"{script.name} has no {'.'.join(target.names)!r}",
            near(target.names[-1], source.names(target.names[:-1]), inside)
            or _made(target, owner is not None and owner.what.endswith("function")),
        )
    known = found.parameters
    return "exists", f"{found.what} ({script.name}:{found.line}, read, not run)", known


def _import(target: Target, place: Place) -> tuple[str, frozenset[str] | None]:
    """Import the module and put a wrapper into place, as a service does."""
    module = _module(target.module)
    thing = _thing(target, module)
    told = _kind(thing, target)
    if place[-1] == "raises":
        if not (inspect.isclass(thing) and issubclass(thing, BaseException)):
            raise Unwrappable("it is no exception class")
        return told, None
    targets.replace(target, module, _wrapper, key=".".join(map(str, place)))
    return told, parameters_of(thing)


def _module(name: str) -> ModuleType:
    print(f"importing {name}", file=sys.stderr)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or name
        if name == missing or name.startswith(f"{missing}."):
            raise _Missing(
                f"there is no module {missing!r} here",
                "run it with the service's own interpreter, in its working folder",
            ) from None
        raise _Missing(f"its module needs {missing!r}, which is not installed here") from None
    except (Exception, SystemExit) as error:
        raise _Missing(f"its module fails when imported: {type(error).__name__}: {error}") from None


def _thing(target: Target, module: ModuleType) -> Any:
    """What the target names, as it is stored."""
    owner: Any = module
    for name in target.names:
        thing = inspect.getattr_static(owner, name, None)
        if thing is None and not hasattr(owner, name):
            if target.subclasses and name == target.names[-1]:
                return None  # a subclass may have it
            raise _Missing(
                f"{getattr(owner, '__qualname__', getattr(owner, '__name__', owner))} has no "
                f"{name!r}",
                near(name, dir(owner)) or _made(target, inspect.isfunction(owner)),
            )
        before, owner = owner, getattr(owner, name)
    return inspect.getattr_static(before, target.names[-1])


def _made(target: Target, by_function: bool) -> str:
    owner = f"{target.module}:{'.'.join(target.names[:-1])}"
    return f"for what it makes write returns: {owner}" if by_function else ""


def _kind(thing: Any, target: Target) -> str:
    function = getattr(thing, "__func__", thing)
    kind = "method" if len(target.names) > 1 else "function"
    if isinstance(thing, staticmethod | classmethod):
        kind = "static method" if isinstance(thing, staticmethod) else "class method"
    elif inspect.isclass(thing):
        kind = "class"
    if inspect.isasyncgenfunction(function):
        kind = f"async generator {kind}"
    elif inspect.iscoroutinefunction(function):
        kind = f"coroutine {kind}"
    elif inspect.isgeneratorfunction(function):
        kind = f"generator {kind}"
    if target.made:
        kind += f" that makes what has {target.made!r}"
    code = getattr(inspect.unwrap(function) if callable(function) else None, "__code__", None)
    where = f" ({Path(code.co_filename).name}:{code.co_firstlineno})" if code else ""
    return f"{kind}{where}{', and of every subclass' if target.subclasses else ''}"


def _wrapper(function: Callable[..., Any], _: bool) -> Callable[..., Any]:
    @functools.wraps(function)
    def inside(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return inside
