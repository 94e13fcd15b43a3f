"""Whatever a service throws at a recorder: bounded memory, nothing raised, the overflow visible."""

from __future__ import annotations

import inspect
import math
import tracemalloc
from importlib import import_module
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics

from tradespan import guard, recorders
from tradespan.recorders import agents, portfolio, streams
from tradespan.semconv.attributes import LIMITS

ROOMS = [n for n in recorders.__all__ if n not in ("pricing", "usage")]
APART = {"declare_drift"}  # a declaration, which says what is wrong with it


class Hostile:
    """Refuses everything."""

    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __float__ = __bool__ = __hash__ = __str__  # type: ignore[assignment]


VALUES = [
    "a\nb", 'a"b', "a\\b", "x" * 10_000, "\ud800", "\x00", "", "é" * 200, "{a=\"b\"}", None, -1, 0,
    1e308, math.nan, math.inf, -math.inf, 10**400, True, b"\xff", [], {}, object(), Hostile(),
]  # fmt: skip


def functions() -> list[Any]:
    """Every public function of every room."""
    found = []
    for room in ROOMS:
        module = import_module(f"tradespan.recorders.{room}")
        found += [
            pytest.param(value, id=f"{room}.{name}")
            for name, value in vars(module).items()
            if inspect.isfunction(value)
            and value.__module__ == module.__name__
            and not name.startswith("_")
            and name not in APART | {"reset", "open"}
        ]
    return found


@pytest.mark.parametrize("function", functions())
def test_no_argument_raises(telemetry: Any, monkeypatch: pytest.MonkeyPatch, function: Any) -> None:
    """Each value as every argument; what comes out can be encoded as OTLP."""
    monkeypatch.setattr(guard, "strict", False)
    for value in VALUES:
        given: dict[str, list[Any]] = {"positional": [], "named": []}
        for parameter in inspect.signature(function).parameters.values():
            if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
                given["positional"].append(value)
            elif parameter.kind is parameter.KEYWORD_ONLY:
                given["named"].append(parameter.name)
        result = function(*given["positional"], **dict.fromkeys(given["named"], value))
        if hasattr(result, "__enter__"):
            with result:
                pass
    data = telemetry.reader.get_metrics_data()
    if data is not None:
        assert encode_metrics(data).SerializeToString()


@pytest.mark.parametrize("room", [r for r in ROOMS if r not in ("system", "voice", "exchange")])
def test_no_known_value_raises(telemetry: Any, monkeypatch: pytest.MonkeyPatch, room: str) -> None:
    """Opening a room with nonsense, or with far too much of it."""
    monkeypatch.setattr(guard, "strict", False)
    module = import_module(f"tradespan.recorders.{room}")
    for parameter in inspect.signature(module.open).parameters:
        for known in (VALUES, (str(n) for n in range(10_000)), 5, None):
            module.open(**{parameter: known})
    telemetry.metric("")
    assert max((len(points) for points in telemetry.points.values()), default=0) <= 2100


def test_a_hundred_thousand_symbols(telemetry: Any) -> None:
    """The series stay within the limit, memory with them, and every value over it is counted."""
    number, limit = 100_000, LIMITS["ticker"]
    for n in range(number):
        portfolio.trade(f"S{n}", "buy")
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for n in range(number, number + 2000):
            portfolio.trade(f"S{n}", "buy")
            agents.decision(f"S{n}", "buy", conviction=0.5)
            streams.decision(f"S{n}", "buy")
        after, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 200_000
    assert peak - before < 500_000
    trades = telemetry.metric("trades")
    assert len(trades) == limit + 1
    assert telemetry.total("trades", ticker="other") == number - limit + 2000
    assert telemetry.total("agent_decisions", ticker="other") == 2000
    assert telemetry.total("trading.stream.decisions", stream="other") == 2000 - LIMITS["stream"]
    overflow = telemetry.total("tradespan.telemetry.overflow", attribute="ticker")
    assert overflow == number - limit + 4000


def test_labels_with_quotes_and_newlines_are_kept(telemetry: Any) -> None:
    """They are values like others; the exporters escape them. 10 kB is none, and overflows."""
    for ticker in ("a\nb", 'a"b', "a\\b", "\x00", "\ud800"):
        portfolio.trade(ticker, "buy")
    portfolio.trade("x" * 10_000, "buy")
    found = {p.labels["ticker"] for p in telemetry.metric("trades")}
    assert found == {"a\nb", 'a"b', "a\\b", "\x00", "?", "other"}
    assert telemetry.total("tradespan.telemetry.overflow", attribute="ticker") == 1
