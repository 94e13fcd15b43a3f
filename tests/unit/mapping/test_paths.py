"""What a path reads, and what it costs."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Any

import numpy as np
import pytest
from pydantic import BaseModel

from tradespan.mapping import notes
from tradespan.mapping.paths import MISSING, Call, Signature, parse, signature

ORDER_SIDE = signature(lambda order, side: None)


def read(text: str, *args: Any, result: Any = MISSING, **kwargs: Any) -> Any:
    return parse(text).read(Call(ORDER_SIDE, args, kwargs, result=result))


@dataclass
class Order:
    symbol: str
    legs: list[dict[str, Any]] = field(default_factory=list)


class Side(Enum):
    BUY = b"buy"


class Candle(BaseModel):
    close_time: int
    source: dict[str, str]


class Row(dict[str, Any]):
    """A mapping with attributes of its own."""


class Frame:
    """Columns by name, as a table of pandas has them."""

    def keys(self) -> list[str]:
        return ["a"]

    def __getitem__(self, name: str) -> list[int]:
        return {"a": [1, 2, 3]}[name]

    def __len__(self) -> int:
        return 3


class Broken:
    """Everything about it fails."""

    @property
    def price(self) -> float:
        raise RuntimeError("not connected")

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("not connected")

    def __repr__(self) -> str:
        raise RuntimeError("not connected")


ORDER = Order("BTC-USD", [{"price": 97_000.0, "by-line": 1, "of all": 2}])


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("args.order.symbol", "BTC-USD"),
        ("args.0.symbol", "BTC-USD"),
        ("args[0].symbol", "BTC-USD"),
        ("args.order.legs[0].price", 97_000.0),
        ("args.order.legs.0.price", 97_000.0),
        ("args.order.legs[0].by-line", 1),
        ('args.order.legs[0]["of all"]', 2),
        ("args.order.legs[0]['of all']", 2),
        ("args.order.legs.length", 1),
        ("args.order.symbol.length", 7),
        ("args.side", "buy"),
        ("args.1", "buy"),
        ("args.other", MISSING),
        ("args.7", MISSING),
        ("args.order.legs[7].price", MISSING),
        ("args.order.nothing.at.all", MISSING),
        ('"coinbase"', "coinbase"),
    ],
)
def test_arguments_by_name_and_position(text: str, found: Any) -> None:
    """Attributes, keys and indexes are followed; what is not there is missing and no error."""
    assert read(text, ORDER, "buy") == found
    assert read(text, ORDER, side="buy") == (MISSING if text == "args.1" else found)


def test_keyword_only_and_unknown_names_are_taken_from_the_call() -> None:
    """`**kwargs` of the function are read by name as well."""
    assert read("args.venue", ORDER, venue="coinbase") == "coinbase"


def test_positions_do_not_count_the_instance() -> None:
    """In a method args.0 is the first argument, and self is the instance."""
    call = Call(signature(lambda self, symbol: None), (ORDER, "ETH-USD"), {}, bound=True)
    assert parse("args.0").read(call) == "ETH-USD"
    assert parse("args.symbol").read(call) == "ETH-USD"
    assert parse("self.symbol").read(call) == "BTC-USD"


def test_self_of_a_function_is_missing() -> None:
    """A function has none."""
    assert read("self.symbol", ORDER) is MISSING


@pytest.mark.parametrize(
    ("result", "text", "found"),
    [
        ({"rows": [{"id": 7}]}, "result.rows[0].id", 7),
        ({b"id": b"7"}, "result.id", b"7"),
        ({1: "one"}, "result[1]", "one"),
        ({"length": 9}, "result.length", 9),
        ({"a": 1}, "result.length", 1),
        ([1, 2, 3], "result.length", 3),
        ([1, 2, 3], "result", [1, 2, 3]),
        (("a", "b"), "result[1]", "b"),
        (Candle(close_time=5, source={"feed": "x"}), "result.close_time", 5),
        (Candle(close_time=5, source={"feed": "x"}), "result.source.feed", "x"),
        (Row(price=3), "result.price", 3),
        (Frame(), "result.length", 3),
        (Frame(), "result.a[1]", 2),
        (Frame(), "result.b", MISSING),
        (7, "result.length", MISSING),
        (None, "result.anything", MISSING),
    ],
)
def test_results_of_every_kind(result: Any, text: str, found: Any) -> None:
    """Mappings, bytes keys, pydantic objects, sequences; a property that raises is missing."""
    assert read(text, result=result) == found


@pytest.mark.parametrize("text", ["result.price", "result.anything", "result[0]"])
def test_what_properties_raise_stays_here(text: str) -> None:
    """A path into an object that fails reads as missing."""
    assert read(text, result=Broken()) is MISSING


def test_rows_of_a_database() -> None:
    """A row of sqlite3 is read by column, one without names by index."""
    connection = sqlite3.connect(":memory:")
    connection.row_factory = sqlite3.Row
    row = connection.execute("SELECT 7 AS id, 'BTC' AS symbol").fetchone()
    assert read("result.id", result=row) == 7
    assert read("result[1]", result=row) == "BTC"
    assert read("result.other", result=row) is MISSING
    assert read("result.length", result=row) == 2
    connection.close()


def test_body_of_a_response() -> None:
    """`response` is what the handler returned, or the JSON inside a response that it made."""
    from starlette.responses import JSONResponse, PlainTextResponse

    answer = JSONResponse({"status": "error"}, status_code=503)
    assert read("response.status", result=answer) == "error"
    assert read("response.status_code", result=answer) == 503
    assert read("response.status", result={"status": "ok"}) == "ok"
    assert read("response.status", result=PlainTextResponse("no JSON")) is MISSING


def test_error_and_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The exception and its attributes; a variable, and one that is not set."""
    call = Call(signature(print), (), {}, error=OSError(5, "no such venue"))
    assert parse("error.errno").read(call) == 5
    assert parse("error").read(call) is call.error
    assert read("error.errno") is MISSING
    monkeypatch.setenv("VENUE", "coinbase")
    monkeypatch.delenv("ELSEWHERE", raising=False)
    assert read("env.VENUE") == "coinbase"
    assert read("env.ELSEWHERE") is MISSING


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("order.symbol", "begins with none of args, self, result, response, error, env"),
        ("", "begins with none of"),
        ("result..id", "cannot be read from '..id' on"),
        ("result[x]", "cannot be read from '[x]' on"),
        ("result.a b", "cannot be read from ' b' on"),
        ("result.id()", r"cannot be read from '\(\)' on"),
        ("env", "names no variable"),
    ],
)
def test_what_is_no_path_says_why(text: str, what: str) -> None:
    """The message shows the text, and where it goes wrong or how a path looks."""
    with pytest.raises(ValueError, match=what.replace("[x]", r"\[x\]")):
        parse(text)


def test_parameters_of_what_will_not_say() -> None:
    """A function of C may have no names; its arguments are read by position."""
    assert signature(dict.update) == Signature()
    found = signature(lambda a, b=1, *c, d=2: None)
    assert (found.names, found.defaults) == (("a", "b"), {"b": 1, "d": 2})


class Cyclic(list[Any]):
    def __repr__(self) -> str:
        raise AssertionError("it was turned into text")


def test_cyclic_and_huge_objects_are_a_named_line(stage_of: Any) -> None:
    """An object where a text or number is meant is left out and said once, never walked."""
    cyclic = Cyclic()
    cyclic.append(cyclic)
    got = stage_of("set: {score: args.0, symbol: args.1.0.0.0, side: args.2}", lambda *_: None,
                   cyclic, cyclic, "buy")  # fmt: skip
    assert "trading.risk.score" not in got
    assert got["trading.side"] == "buy"
    lines = [line for line in notes.said() if "Cyclic" in line]
    assert any("services.svc.stages.risk.set.score: args.0: is a Cyclic" in s for s in lines)


def test_a_huge_object_costs_no_more_than_a_small_one() -> None:
    """Neither its text nor a copy is made: a hundred reads of 80 MB allocate nothing of that."""
    import tracemalloc

    huge = {"rows": list(range(10_000_000))}
    tracemalloc.start()
    for _ in range(100):
        assert read("result.rows.length", result=huge) == 10_000_000
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100_000


@pytest.mark.parametrize(
    ("value", "stands"),
    [
        (Decimal("1.5"), 1.5),
        (np.float64(0.25), 0.25),
        (np.array([3]), 3),
        (b"BTC", "BTC"),
        (Side.BUY, "buy"),
        (TimeoutError("too late"), "too late"),
        (True, True),
        (datetime.fromisoformat("2026-01-02T03:04:05+00:00"), "2026-01-02T03:04:05+00:00"),
    ],
)
def test_scalars_stand_on_the_span(stage_of: Any, value: Any, stands: Any) -> None:
    """Numbers of numpy and decimal, bytes, Enums and times are attributes as they mean."""
    assert stage_of("set: {what: result}", lambda: value)["what"] == stands


def test_missing_and_none_are_left_out(stage_of: Any) -> None:
    """A path that leads nowhere gives no attribute, and no error."""
    got = stage_of("set: {symbol: args.nothing, side: result.side}", lambda: {"side": None})
    assert not {"trading.symbol", "trading.side"} & set(got)


def test_an_argument_left_to_its_default_is_read(stage_of: Any) -> None:
    """`args.symbol` means the parameter, whoever gives its value."""

    def work(symbol: str = "BTC-USD", *, venue: str = "coinbase") -> None: ...

    got = stage_of("set: {symbol: args.symbol, venue: args.venue}", work)
    assert got["trading.symbol"] == "BTC-USD"
    assert got["trading.venue"] == "coinbase"
