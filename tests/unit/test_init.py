"""The public surface: sorted, documented, and without work at import."""

from __future__ import annotations

import inspect
import subprocess
import sys
import typing
from typing import Any

import pytest

import tradespan

NAMES = list(tradespan.__all__)


def test_all_is_sorted_and_complete() -> None:
    """`__all__` is sorted, without doubles, and is what `dir` and star import give."""
    assert sorted(set(NAMES)) == NAMES
    space: dict[str, Any] = {}
    exec("from tradespan import *", space)
    assert set(space) - {"__builtins__"} == set(NAMES)
    assert set(NAMES) <= set(dir(tradespan))


@pytest.mark.parametrize("name", NAMES)
def test_every_public_name_is_documented(name: str) -> None:
    """Each name, and each public method of each class, has a docstring of its own."""
    found = getattr(tradespan, name)
    assert inspect.getdoc(found)
    assert found.__doc__
    if inspect.isclass(found):
        for key, member in vars(found).items():
            if not key.startswith("_") and (callable(member) or isinstance(member, property)):
                assert inspect.getdoc(member), key


@pytest.mark.parametrize("name", NAMES)
def test_every_public_function_is_typed(name: str) -> None:
    """Parameters and results have types that can be resolved."""
    found = getattr(tradespan, name)
    if inspect.isfunction(found):
        hints = typing.get_type_hints(found)
        assert "return" in hints
        assert set(inspect.signature(found).parameters) <= set(hints)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("signal", ["symbol", "signal_type", "signal_id", "event_time", "values"]),
        ("validation", ["carrier", "model", "symbol", "values"]),
        ("risk", ["carrier", "values"]),
        ("orchestration", ["carrier", "values"]),
        ("execution", ["carrier", "symbol", "side", "venue", "values"]),
        ("stage", ["name", "carrier", "values"]),
        ("inject", ["carrier"]),
        ("extract", ["carrier"]),
        ("call", ["name"]),
        ("value", ["name", "number", "attributes"]),
        ("count", ["name", "amount", "attributes"]),
        ("current_stage", []),
        ("configure", ["overrides"]),
    ],
)
def test_signatures_are_the_documented_ones(name: str, arguments: list[str]) -> None:
    """The arguments of the public functions, by name and order."""
    assert list(inspect.signature(getattr(tradespan, name)).parameters) == arguments


def test_nothing_happens_at_import() -> None:
    """Importing sets no provider, starts no thread, and loads neither SDK nor read side."""
    program = """
import os, sys, threading, logging, signal
before = dict(os.environ), signal.getsignal(signal.SIGTERM), list(logging.root.handlers)
import tradespan
assert before == (dict(os.environ), signal.getsignal(signal.SIGTERM), list(logging.root.handlers))
assert threading.active_count() == 1
from opentelemetry import trace, metrics
assert type(trace.get_tracer_provider()).__name__ == "ProxyTracerProvider"
assert type(metrics.get_meter_provider()).__name__ == "_ProxyMeterProvider"
wrong = [m for m in sys.modules if m.startswith((
    "opentelemetry.sdk", "opentelemetry.exporter", "tradespan.cli", "tradespan.backends",
    "tradespan.report", "tradespan.lab", "yaml", "numpy", "fastapi", "requests", "httpx"))]
assert not wrong, wrong
with tradespan.signal() as s:  # and it works with no SDK at all
    s.confidence(0.5)
    assert tradespan.inject({"a": 1})["a"] == 1
    with tradespan.execution() as e:
        e.filled(1.0, 2.0)
assert "opentelemetry.sdk" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == done.stderr == ""
