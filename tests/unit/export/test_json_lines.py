"""One record, one line of JSON: its fields, its stream, nothing secret, whatever is in it."""

from __future__ import annotations

import io
import json
import logging
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy
import pytest

import tradespan
from tradespan.current import facts
from tradespan.export.json_lines import JsonLines, is_console, rfc3339
from tradespan.export.log_fields import Fields
from tradespan.export.redact import Redactor

FIELDS = Fields({"desk.fees": "revenue", "payments.errors": "error"}, facts)
LINES = JsonLines(FIELDS, Redactor(["account_number"]), "risk")


def record(text: object = "a line", *args: Any, **extra: Any) -> logging.LogRecord:
    """A record as `logger.info(text, *args, extra=extra)` makes it."""
    name, level = extra.pop("name", "desk"), extra.pop("level", logging.INFO)
    error = extra.pop("exc_info", None)
    made = logging.LogRecord(name, level, __file__, 1, text, args, error)
    vars(made).update(extra)
    return made


def told(*args: Any, **extra: Any) -> dict[str, Any]:
    """The record's line, read again by a strict parser."""
    line = LINES.line(record(*args, **extra))
    assert "\n" not in line
    assert line.isascii()
    found: dict[str, Any] = json.loads(line, parse_constant=lambda c: pytest.fail(c))
    return found


def test_fields_outside_a_journey() -> None:
    """What always stands there, in this order, and nothing that is not known."""
    found = told("filled %s of %d", "BTC-USD", 3, created=1_795_255_071.1236)
    assert list(found.items()) == [
        ("time", "2026-11-21T09:57:51.123Z"),
        ("level", "INFO"),
        ("stream", "application"),
        ("service", "risk"),
        ("logger", "desk"),
        ("message", "filled BTC-USD of 3"),
    ]


def test_ids_inside_a_stage(telemetry: Any) -> None:
    """Trace, span, signal, stage and order as they are here; the record's own word wins."""
    with tradespan.signal(signal_id="s-1"), tradespan.execution(symbol="BTC-USD") as e:
        e.set(order_id="o-1")
        found = told("filled", request_id="r-1", user_id=17)
        assert told("filled", order_id="o-2", stage="hedge")["order_id"] == "o-2"
    span = telemetry.span("execution").context
    assert found["trace_id"] == f"{span.trace_id:032x}"
    assert found["span_id"] == f"{span.span_id:016x}"
    ids = {k: found[k] for k in ("signal_id", "stage", "order_id", "request_id", "user_id")}
    assert ids == {
        "signal_id": "s-1",
        "stage": "execution",
        "order_id": "o-1",
        "request_id": "r-1",
        "user_id": 17,
    }
    assert "context" not in found


@pytest.mark.parametrize(
    ("facts", "stream"),
    [
        ({}, "application"),
        ({"level": logging.ERROR}, "error"),
        ({"level": logging.CRITICAL}, "error"),
        ({"name": "payments"}, "revenue"),
        ({"name": "payments.stripe", "level": logging.ERROR}, "revenue"),
        ({"name": "payments.errors.x"}, "error"),
        ({"name": "paymentsx"}, "application"),
        ({"name": "auth.login"}, "security"),
        ({"name": "orders"}, "trading"),
        ({"name": "desk.fees.maker"}, "revenue"),
        ({"name": "auth", "stream": "trading"}, "trading"),
        ({"stream": "no stream of ours"}, "application"),
        ({"name": ""}, "application"),
    ],
)
def test_streams(facts: dict[str, Any], stream: str) -> None:
    """The record's own word, else the longest logger name that is known, else the level."""
    assert told(**facts)["stream"] == stream


def test_another_stream_is_business_context() -> None:
    """A Redis stream's name is not ours to lose."""
    assert told(stream="signals")["context"] == {"stream": "signals"}


def test_nothing_secret_is_written() -> None:
    """Message, context and exception are masked as what is exported is."""
    try:
        raise ValueError("login with password=hunter2hunter2")
    except ValueError as error:
        info = (type(error), error, error.__traceback__)
    found = told(
        "Authorization: Bearer abcdefgh12345678",
        exc_info=info,
        api_key="k-123",
        order={"account_number": "DE12", "note": "token=t0ps3cret"},
    )
    text = json.dumps(found)
    for secret in ("hunter2", "abcdefgh12345678", "k-123", "DE12", "t0ps3cret"):
        assert secret not in text
    assert found["context"]["order"]["account_number"] == "****"


def test_a_secret_is_masked_before_the_text_is_cut() -> None:
    """A key whose value stands beyond the cut is masked all the same; the line stays bounded."""
    found = told("x" * 65_520 + " password=hunter2hunter2" + "y" * 100_000)
    assert "hunter" not in found["message"]
    assert len(found["message"]) < 65_600


def test_an_exception_is_one_line() -> None:
    """Type, message and the whole stack trace, its line ends escaped."""
    try:
        raise ValueError("bad\nprice")
    except ValueError as error:
        found = told("failed", exc_info=(type(error), error, error.__traceback__))
    assert found["exception"]["type"] == "ValueError"
    assert found["exception"]["message"] == "bad\nprice"
    assert found["exception"]["stacktrace"].startswith("Traceback (most recent call last):\n")


class Raising:
    """Its own text fails."""

    def __str__(self) -> str:
        raise RuntimeError


def test_any_value_can_be_written() -> None:
    """Numbers that JSON has not, cycles, bytes, objects: nothing raises, all of it parses."""
    circle: list[Any] = []
    circle.append(circle)
    found = told(
        nan=float("nan"),
        inf=float("inf"),
        price=Decimal("97000.10"),
        quantity=numpy.float32(0.5),
        filled=numpy.int64(3),
        huge=10**5000,
        raw=b"\x00",
        circle=circle,
        raising=Raising(),
        lone="\ud800",
        many=list(range(1000)),
        deep={"a": {1: {"c": (1, {2})}}},
        path=Path("x"),
        none=None,
        line="a\u2028b\r\n",
    )["context"]
    assert found["nan"] == "nan"
    assert found["price"] == "97000.10"
    assert (found["quantity"], found["filled"]) == (0.5, 3)
    assert (found["huge"], found["raw"], found["raising"]) == ("<int>", "<bytes>", "<Raising>")
    assert found["circle"] == ["<list>"]
    assert found["lone"] == "?"
    assert len(found["many"]) == 64
    assert found["deep"] == {"a": {"1": {"c": [1, "<set>"]}}}
    assert found["none"] is None
    assert found["line"] == "a\u2028b\r\n"


def test_a_record_is_bounded_as_a_whole() -> None:
    """However much refers to however much: so many items, so many characters, no circle."""
    wide: Any = "x"
    for _ in range(4):
        wide = {f"k{n}": wide for n in range(64)}
    circle: dict[str, Any] = {}
    circle.update({f"k{n}": circle for n in range(8)})
    found = told("x", wide=wide, circle=circle, texts=["y" * 60_000] * 20, request_id="r-1")
    assert (found["message"], found["request_id"]) == ("x", "r-1")
    assert len(json.dumps(found)) < 400_000
    assert told("x", circle=circle)["context"]["circle"] == dict.fromkeys(circle, "<dict>")
    shared = ["twice"]
    assert told("x", a=shared, b=shared)["context"] == {"a": shared, "b": shared}
    lots = told("x", texts=["y" * 60_000] * 20)["context"]["texts"]
    assert [lots[0], lots[-1]] == ["y" * 60_000, "<str>"]


class Counted(dict[str, int]):
    """Counts what is read of it."""

    read = 0

    def items(self) -> Any:
        """One by one."""
        for pair in super().items():
            self.read += 1
            yield pair


def test_no_more_is_read_than_is_written() -> None:
    """Of a book of a million levels only the first ones are looked at."""
    book = Counted.fromkeys(map(str, range(10_000)), 1)
    assert len(told("x", book=book)["context"]["book"]) == 64
    assert book.read <= 65


def test_an_exception_beside_a_large_context() -> None:
    """What is left of the bounds is no matter to it."""
    error = ValueError("bad price")
    wide = {f"a{n}": {f"b{m}": 1 for m in range(64)} for n in range(64)}
    found = told("x", exc_info=(ValueError, error, None), wide=wide, lots=["y" * 131_072] * 3)
    assert found["exception"]["message"] == "bad price"


@pytest.mark.parametrize("args", [("x",), (1, 2), (Raising(),)])
def test_a_message_that_cannot_be_made(args: tuple[Any, ...]) -> None:
    """The service's own mistake is written as it stands, here and over OTLP: no failure of ours."""
    given = record("bad %d", *args, symbol="BTC")
    assert json.loads(LINES.line(given))["message"] == "bad %d"
    sent = FIELDS.for_otlp(given)
    assert (sent.getMessage(), vars(sent)["symbol"]) == ("bad %d", "BTC")


def test_a_record_with_a_message_style_of_its_own() -> None:
    """Made once, by the record's own class; braces in what was made mean nothing any more."""

    class Braces(logging.LogRecord):
        def getMessage(self) -> str:
            return str(self.msg).format(*self.args or ())

    given = Braces("desk", logging.INFO, __file__, 1, "filled {}", ("{0} of {1}",), None)
    assert FIELDS.for_otlp(given).getMessage() == "filled {0} of {1}"


def test_structlogs_event_dict() -> None:
    """As its ProcessorFormatter is handed it: the event is the message, the rest context."""
    event = {"event": "filled", "level": "info", "logger": "x", "timestamp": 1, "symbol": "BTC"}
    found = told(event, _logger=None, _name="info")
    assert (found["message"], found["context"]) == ("filled", {"symbol": "BTC"})
    assert told(dict(event, exception="Traceback"))["exception"] == {"stacktrace": "Traceback"}


def test_for_otlp() -> None:
    """Our names for what we know, the service's own for the rest; the record is not touched."""
    given = record("x", request_id=7, user_id="u-1", symbol="BTC", stream="revenue")
    sent = vars(FIELDS.for_otlp(given))
    assert sent["trading.log.stream"] == "revenue"
    assert (sent["trading.request.id"], sent["trading.user.id"]) == ("7", "u-1")
    assert sent["symbol"] == "BTC"
    assert not {"request_id", "user_id", "stream"} & set(sent)
    assert (given.__dict__["request_id"], given.__dict__["stream"]) == (7, "revenue")
    assert vars(FIELDS.for_otlp(record("x", stream="signals")))["stream"] == "signals"


def test_for_otlp_any_value_can_be_sent(caplog: pytest.LogCaptureFixture) -> None:
    """OpenTelemetry complains on the console of a Decimal; it is given what it takes."""
    sent = vars(FIELDS.for_otlp(record("x", price=Decimal("9.5"), at=Path("x"), raw=Raising())))
    assert (sent["price"], sent["at"], sent["raw"]) == ("9.5", "x", "<Raising>")
    event = {"event": "filled", "quantity": Decimal(1), "level": "info"}
    sent = vars(FIELDS.for_otlp(record(event, _logger=object(), _name="info")))
    assert (sent["msg"], sent["quantity"]) == ("filled", "1")
    assert not {"_logger", "_name"} & set(sent)


def test_which_handlers_write_to_the_console(tmp_path: Path, capsys: Any) -> None:
    """Those of stdout and stderr; no file, no memory, and not logging's last resort."""
    assert is_console(logging.StreamHandler())
    assert is_console(logging.StreamHandler(sys.stdout))
    assert is_console(logging.StreamHandler(sys.__stderr__))
    with capsys.disabled(), open(1, "w", closefd=False) as again:
        assert is_console(logging.StreamHandler(again))
    assert not is_console(logging.StreamHandler(io.StringIO()))
    assert not is_console(logging.NullHandler())
    assert logging.lastResort is not None
    assert not is_console(logging.lastResort)
    file = logging.FileHandler(tmp_path / "x.log")
    assert not is_console(file)
    file.close()


def test_time() -> None:
    """RFC 3339, UTC, milliseconds, also on the full second."""
    assert rfc3339(0) == "1970-01-01T00:00:00.000Z"
    assert rfc3339(1_795_255_071.9999) == "2026-11-21T09:57:51.999Z"
