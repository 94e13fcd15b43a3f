"""A service of one module, mapped by a file, inside the test's own process."""

from __future__ import annotations

import importlib
import itertools
import sqlite3
import sys
import textwrap
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import aiohttp
import fastapi.routing
import httpx
import psycopg
import pytest
import requests
import urllib3

from tradespan.mapping import notes, reading, start
from tradespan.mapping.load import load
from tradespan.mapping.record import Record
from tradespan.mapping.service import apply

_NUMBERS = itertools.count()
_HOOKED: list[tuple[Any, str]] = [
    (fastapi.routing.APIRoute, "get_route_handler"),
    (fastapi.routing, "run_endpoint_function"),
    (httpx.Client, "send"),
    (httpx.AsyncClient, "send"),
    (requests.Session, "send"),
    (aiohttp.ClientSession, "_request"),
    (urllib3.PoolManager, "urlopen"),
    (urllib3.HTTPConnectionPool, "urlopen"),
    (urllib.request.OpenerDirector, "open"),
    (sqlite3, "connect"),
    (sqlite3.dbapi2, "connect"),
    (psycopg.Cursor, "execute"),
    (psycopg.AsyncCursor, "execute"),
]


class Service:
    """One service, `svc`, whose only module the file calls `mod`.

    Attributes:
        record: what became of the targets.
        module: the imported module; its functions are those that its callers get.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.name = f"mapped_{next(_NUMBERS)}"
        self.record = Record()
        self.module = ModuleType("none")

    def map(self, mapping: str, source: str = "", **environ: str) -> ModuleType:
        """Apply a file whose service `svc` is `mapping`, then import the source."""
        body = textwrap.indent(textwrap.dedent(mapping).replace("mod:", f"{self.name}:"), "    ")
        return self.file(f"version: 1\nservices:\n  svc:\n{body}\n", source, **environ)

    def file(self, text: str, source: str = "", **environ: str) -> ModuleType:
        """Apply a whole file, then import the source."""
        path = self._folder / "tradespan.yaml"
        path.write_text(textwrap.dedent(text).replace("mod:", f"{self.name}:"))
        estate = load(path, environ)
        start._settle(estate, "svc")
        self.record = apply(estate, "svc", self._folder)
        return self.load(source)

    def load(self, source: str) -> ModuleType:
        """Import the source as the service's module."""
        (self._folder / f"{self.name}.py").write_text(textwrap.dedent(source))
        importlib.invalidate_caches()
        self.module = importlib.import_module(self.name)
        return self.module

    def why(self, target: str) -> str:
        """State of a target, and the reason."""
        wanted = target.replace("mod:", f"{self.name}:")
        entry = next(e for e in self.record.entries if e.target == wanted)
        return f"{entry.state}: {entry.why}"


@pytest.fixture
def svc(telemetry: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    """A service that is not mapped yet; what the mapping puts into libraries goes with the test."""
    for owner, name in _HOOKED:
        monkeypatch.setattr(owner, name, getattr(owner, name))
    monkeypatch.syspath_prepend(str(tmp_path))
    notes.forget()
    monkeypatch.setattr(reading, "_readings", {})
    service = Service(tmp_path)
    yield service
    for name in [n for n in sys.modules if n.startswith(service.name)]:
        del sys.modules[name]
    notes.forget()


@pytest.fixture
def stage_of(svc: Service, telemetry: Any) -> Callable[..., dict[str, Any]]:
    """Attributes of the stage that one call makes: `stage_of("set: {x: result.y}", function, ...)`.

    The function is called as `mod:work` of the service.
    """

    def call(mapping: str, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        svc.module = ModuleType(svc.name)
        sys.modules[svc.name] = svc.module
        svc.module.work = function  # type: ignore[attr-defined]
        body = textwrap.indent(textwrap.dedent(mapping), "    ")
        path = svc._folder / "tradespan.yaml"
        path.write_text(
            f"version: 1\nservices: {{svc: {{stages: {{risk:\n    {{run: '{svc.name}:work', "
            f"{body.strip()} }}\n  }} }} }}\n"
        )
        estate = load(path, {})
        svc.record = apply(estate, "svc", path.parent)
        svc.module.work(*args, **kwargs)
        return dict(telemetry.span("risk").attributes)

    return call
