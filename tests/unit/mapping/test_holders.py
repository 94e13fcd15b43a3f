"""Functions that something holds as they were before they were wrapped."""

from __future__ import annotations

import importlib
from typing import Any

import pytest

from tradespan.mapping import holders

REGISTERED = """
    TABLE, LIST = {}, []
    class Router:
        def __init__(self): self.handlers = {}
        def get(self, path):
            def keep(function):
                self.handlers[path] = function
                return function
            return keep
    router = Router()
    def register(function):
        LIST.append(function)
        return function
    @router.get("/a")
    def routed(): ...
    @register
    def listed(): ...
    def called(): ...
    do_it = called
    TABLE["x"] = called
    def free(): ...
    async def afree(): ...
    class Desk:
        def check(self): ...
    handlers = [Desk.check]
    """
SOMETHING = "something took it before it was wrapped"


def test_what_was_registered_before_is_told(svc: Any, telemetry: Any) -> None:
    """A decorator, a list, a table, another name: what they call is no stage."""
    names = ["routed", "listed", "called", "free", "afree", "Desk.check"]
    targets = ", ".join(f"mod:{name}" for name in names)
    module = svc.map(f"stages: {{risk: {{run: [{targets}]}}}}", REGISTERED)
    for name in ("routed", "listed", "called"):
        assert SOMETHING in svc.why(f"mod:{name}"), name
    for name in ("free", "afree", "Desk.check"):
        assert svc.why(f"mod:{name}") == "wrapped: ", name
    module.LIST[0]()
    module.router.handlers["/a"]()
    module.do_it()
    assert not telemetry.spans


def test_the_places_are_named_later(svc: Any) -> None:
    """Where a module shows them; the others keep the general word."""
    svc.map("stages: {risk: {run: [mod:routed, mod:listed, mod:called]}}", REGISTERED)
    other = svc.name + "_other"
    (svc._folder / f"{other}.py").write_text(f"from {svc.name} import free as do_free\n")
    importlib.import_module(other)
    holders.name_them(svc.record.entries)
    took = "took it before it was wrapped, and calls it unseen"
    assert svc.why("mod:listed") == f"wrapped: {svc.name}.LIST {took}"
    assert svc.why("mod:called") == f"wrapped: {svc.name}.TABLE, {svc.name}.do_it {took}"
    assert SOMETHING in svc.why("mod:routed")


def test_another_name_in_another_module(svc: Any) -> None:
    """`import ... as` is found by what it is."""
    svc.load("def work(): ...\n")
    other = svc.name + "_other"
    (svc._folder / f"{other}.py").write_text(f"from {svc.name} import work as do_work\n")
    importlib.import_module(other)
    svc.map("stages: {risk: {run: 'mod:work'}}")
    assert SOMETHING in svc.why("mod:work")
    holders.name_them(svc.record.entries)
    assert svc.why("mod:work").startswith(f"wrapped: {other}.do_work took it")


def test_nothing_is_looked_for_where_nothing_was_taken(
    svc: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It costs nothing then."""
    monkeypatch.setattr(holders, "_taken", {})
    monkeypatch.setattr(holders, "_everything", lambda: pytest.fail("looked"))
    svc.map("stages: {risk: {run: 'mod:work'}}", "def work(): ...\n")
    holders.name_them(svc.record.entries)
    assert svc.why("mod:work") == "wrapped: "
