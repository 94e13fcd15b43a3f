"""A journey goes through anything that can hold two short texts, and nothing hostile hurts."""

from __future__ import annotations

import random
import sqlite3
import string
from collections import OrderedDict, UserDict, namedtuple
from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType, SimpleNamespace
from typing import Any

import pytest
from opentelemetry import baggage, context, propagate, trace
from opentelemetry.propagators.textmap import TextMapPropagator

import tradespan
from tradespan import guard, journey
from tradespan.export.propagation import JourneyPropagator

Fields = dict[str, str]


@dataclass
class Order:
    """A row of an object-relational mapper."""

    id: int
    traceparent: str | None = None
    baggage: str | None = None


def row_of(fields: Fields) -> sqlite3.Row:
    """The fields, written to and read from a real table."""
    db = sqlite3.connect(":memory:")
    db.row_factory = sqlite3.Row
    db.execute("create table t (id integer, traceparent text, baggage text)")
    db.execute("insert into t values (1, ?, ?)", (fields.get("traceparent"), fields.get("baggage")))
    row: sqlite3.Row = db.execute("select * from t").fetchone()
    db.close()
    return row


Record = namedtuple("Record", "id traceparent baggage")


class SqlAlchemyRow:
    """Has its mapping in `_mapping`, as SQLAlchemy's rows do."""

    def __init__(self, fields: Fields) -> None:
        self._mapping = fields


CARRIERS: dict[str, Callable[[Fields], Any]] = {
    "dict": dict,
    "redis-bytes": lambda f: {k.encode(): v.encode() for k, v in f.items()},
    "bytes-values": lambda f: {k: v.encode() for k, v in f.items()},
    "read-only": MappingProxyType,
    "ordered": OrderedDict,
    "user-dict": UserDict,
    "upper-case": lambda f: {k.title(): v for k, v in f.items()},
    "beside-others": lambda f: {"payload": b"\xff\xfe", 7: None, "qty": 1, **f},
    "kafka-list": lambda f: [("k", b"v"), *((k, v.encode()) for k, v in f.items())],
    "kafka-tuple": lambda f: tuple((k, v.encode()) for k, v in f.items()),
    "kafka-bytes-keys": lambda f: [(k.encode(), v.encode()) for k, v in f.items()],
    "kafka-last-wins": lambda f: [
        ("traceparent", b"00-" + b"1" * 32 + b"-" + b"2" * 16 + b"-01"),
        *((k, v.encode()) for k, v in f.items()),
    ],
    "sqlite-row": row_of,
    "object": lambda f: Order(1, f.get("traceparent"), f.get("baggage")),
    "namespace": lambda f: SimpleNamespace(**f),
    "namedtuple": lambda f: Record(1, f.get("traceparent"), f.get("baggage")),
    "sqlalchemy": SqlAlchemyRow,
}
carriers = pytest.mark.parametrize("make", CARRIERS.values(), ids=CARRIERS)


@pytest.fixture
def fields(telemetry: Any) -> Fields:
    """What `inject({})` gives in a signal."""
    with tradespan.signal(signal_id="sig-1"):
        found = tradespan.inject({})
    assert set(found) == {"traceparent", "baggage"}
    return dict(found)


def anomalies(telemetry: Any) -> dict[str, float]:
    """Anomalies of hand-offs, by reason."""
    found: dict[str, float] = {}
    for point in telemetry.metric("trading.handoff.anomalies"):
        if point.value:
            found[point.labels["reason"]] = found.get(point.labels["reason"], 0) + point.value
    return found


def broken(telemetry: Any) -> dict[str, float]:
    """Journeys broken, by reason."""
    points = telemetry.metric("trading.journey.broken")
    return {p.labels["reason"]: p.value for p in points if p.value}


@carriers
def test_round_trip(telemetry: Any, fields: Fields, make: Callable[[Fields], Any]) -> None:
    """Journey, trace and wait arrive by every kind of carrier."""
    with tradespan.execution(carrier=make(fields)) as e:
        assert e.signal_id == "sig-1"
    sender, receiver = telemetry.span("signal"), telemetry.span("execution")
    assert receiver.context.trace_id == sender.context.trace_id
    assert receiver.parent.span_id == sender.context.span_id
    assert receiver.attributes["trading.origin"] == sender.attributes["trading.origin"]
    assert receiver.attributes["trading.wait"] >= 0
    assert anomalies(telemetry) == broken(telemetry) == {}


@carriers
def test_extract_is_the_journey_alone(
    telemetry: Any, fields: Fields, make: Callable[[Fields], Any]
) -> None:
    """`extract` gives the journey, measures nothing, and restores the context."""
    before = context.get_current()
    with tradespan.extract(make(fields)) as found:
        assert found is not None
        assert found == tradespan.current_journey()
        assert found.signal_id == "sig-1"
        with trace.get_tracer("x").start_as_current_span("work"):
            pass
    assert context.get_current() == before
    assert telemetry.span("work").attributes["trading.signal.id"] == "sig-1"
    assert telemetry.total("trading.stage.wait") == 0


def test_journey_survives_many_hops(telemetry: Any, fields: Fields) -> None:
    """Each hop measures its own wait; ids and origin stay those of the signal."""
    for n in range(4):
        with tradespan.stage(f"hop{n}", carrier=fields) as s:
            assert s.wait is not None
            fields = dict(tradespan.inject({}))
    assert len({s.context.trace_id for s in telemetry.spans}) == 1
    assert len({s.attributes["trading.origin"] for s in telemetry.spans}) == 1
    assert anomalies(telemetry) == {}


@pytest.mark.parametrize("kind", ["str", "bytes", "mixed-case", "pairs", "pairs-mixed-case"])
def test_inject_copies_and_replaces_stale_entries(telemetry: Any, kind: str) -> None:
    """The carrier itself is untouched; stale entries of our names give way, all others stay."""
    stale: Any = {
        "str": {"traceparent": "old", "baggage": "old", "qty": 1},
        "bytes": {b"traceparent": b"old", b"baggage": b"old", b"qty": 1},
        "mixed-case": {"Traceparent": "old", "BAGGAGE": "old", "qty": 1},
        "pairs": [("traceparent", b"old"), ("qty", b"1"), ("baggage", b"old"), ("qty", b"2")],
        "pairs-mixed-case": [("TraceParent", b"old"), ("qty", b"1"), ("qty", b"2")],
    }[kind]
    before = stale.copy()
    with tradespan.signal(signal_id="sig-1"):
        fresh: Any = tradespan.inject(stale)
    assert stale == before
    assert type(fresh) is type(stale)
    items = list(fresh.items()) if isinstance(fresh, dict) else fresh
    names = [(k.decode() if isinstance(k, bytes) else k).lower() for k, _ in items]
    assert sorted(set(names)) == ["baggage", "qty", "traceparent"]
    assert names.count("traceparent") == names.count("baggage") == 1
    assert names.count("qty") == (2 if kind.startswith("pairs") else 1)
    if kind.startswith("pairs"):
        assert all(isinstance(value, bytes) for _, value in items)
    with tradespan.extract(fresh) as found:
        assert found is not None
        assert found.signal_id == "sig-1"


def test_inject_without_a_carrier(telemetry: Any) -> None:
    """Nothing to put it in gives the bare fields; outside any journey there are none."""
    assert tradespan.inject() == {}
    assert tradespan.inject({"a": 1}) == {"a": 1}
    assert tradespan.inject([("a", b"1")]) == [("a", b"1")]
    with tradespan.signal():
        assert set(tradespan.inject()) == {"traceparent", "baggage"}


def test_a_carrier_brings_nothing_of_the_place_where_it_is_read(
    telemetry: Any, fields: Fields
) -> None:
    """Where the entry is read inside another stage, it still goes on with its own journey."""
    with tradespan.signal(signal_id="poller"), tradespan.execution(carrier=fields) as e:
        assert e.signal_id == "sig-1"
    with tradespan.signal(signal_id="poller"), tradespan.extract({}) as found:
        assert found is None
        assert baggage.get_all() == {}


@pytest.mark.parametrize("empty", [None, {}, [], (), Order(1), Record(1, None, None), "", 0])
def test_a_missing_journey(telemetry: Any, empty: Any) -> None:
    """A carrier without a journey begins a new one, and the fact is counted."""
    with tradespan.execution(carrier=empty) as e:
        assert len(e.signal_id) == 16
    assert broken(telemetry) == anomalies(telemetry) == {"missing": 1}
    assert telemetry.total("trading.journey.begun", trigger="broken") == 1
    assert telemetry.total("trading.pipeline.duration") == 0
    assert telemetry.span("execution").attributes["trading.trigger"] == "broken"
    assert "trading.wait" not in telemetry.span("execution").attributes


@pytest.mark.parametrize(
    "traceparent",
    [
        "nonsense",
        "00-zz-zz-01",
        "00-" + "0" * 32 + "-" + "1" * 16 + "-01",
        "00-" + "a" * 32 + "-" + "0" * 16 + "-01",
        "00-" + "a" * 31 + "-" + "b" * 16 + "-01",
        "ff-" + "a" * 32 + "-" + "b" * 16 + "-01",
        "\x00",
        "é" * 55,
    ],
)
def test_a_malformed_traceparent(telemetry: Any, fields: Fields, traceparent: str) -> None:
    """A traceparent that cannot be read begins a new journey, and the fact is counted."""
    with tradespan.execution(carrier={**fields, "traceparent": traceparent}) as e:
        assert e.signal_id != "sig-1"
    assert broken(telemetry) == anomalies(telemetry) == {"malformed": 1}


@pytest.mark.parametrize(
    ("entry", "value"),
    [
        ("trading.signal.id", ""),
        ("trading.signal.id", "x" * 65),
        ("trading.signal.id", "a%0Ab"),
        ("trading.signal.id", "%20"),
        ("trading.origin", ""),
        ("trading.origin", "soon"),
        ("trading.origin", "-1"),
        ("trading.origin", "1"),
        ("trading.origin", "9" * 19),
        ("trading.origin", "9" * 4000),
        ("trading.origin", "%D9%A3"),
        ("trading.mode", "production"),
        ("trading.mode", ""),
        ("trading.pipeline", "x" * 65),
        ("trading.pipeline", "a%20b"),
        ("trading.pipeline", "a%0Ab"),
        ("trading.trigger", "nobody"),
    ],
)
def test_malformed_baggage(telemetry: Any, fields: Fields, entry: str, value: str) -> None:
    """Entries that no peer can have written begin a new journey, and the fact is counted."""
    entries = dict(pair.split("=", 1) for pair in fields["baggage"].split(","))
    entries[entry] = value
    carrier = {**fields, "baggage": ",".join(f"{k}={v}" for k, v in entries.items())}
    with tradespan.execution(carrier=carrier) as e:
        assert e.signal_id != "sig-1"
        assert e.journey is not None
        assert e.journey.pipeline == "default"
    assert broken(telemetry) == anomalies(telemetry) == {"malformed": 1}


@pytest.mark.parametrize("name", ["traceparent", "baggage"])
def test_an_oversized_carrier(telemetry: Any, fields: Fields, name: str) -> None:
    """A header beyond the limit is not even parsed: a new journey begins and is counted."""
    with tradespan.execution(carrier={**fields, name: fields[name] + ",x=" + "y" * 9000}) as e:
        assert e.signal_id != "sig-1"
    assert broken(telemetry) == {"oversized": 1}
    assert anomalies(telemetry) == {"malformed": 1}


def test_a_missing_stamp(telemetry: Any, fields: Fields) -> None:
    """A hand-off by a peer that knows no stamp joins the journey; only the wait is unknown."""
    entries = [p for p in fields["baggage"].split(",") if not p.startswith("trading.sent")]
    with tradespan.execution(carrier={**fields, "baggage": ",".join(entries)}) as e:
        assert e.signal_id == "sig-1"
    assert anomalies(telemetry) == {"missing": 1}
    assert broken(telemetry) == {}
    assert "trading.wait" not in telemetry.span("execution").attributes
    assert telemetry.total("trading.stage.wait") == 0


@pytest.mark.parametrize(
    "stamp",
    [
        "",
        "-",
        "x-y",
        "1-2",
        "1700000000000000000",
        "1700000000000000000-",
        "9" * 3000 + "-1",
        "%00",
    ],
)
def test_a_malformed_stamp(telemetry: Any, fields: Fields, stamp: str) -> None:
    """A stamp that cannot be read leaves the journey whole; only the wait is unknown."""
    entries = [p for p in fields["baggage"].split(",") if not p.startswith("trading.sent")]
    carrier = {**fields, "baggage": ",".join([*entries, f"trading.sent={stamp}"])}
    with tradespan.execution(carrier=carrier) as e:
        assert e.signal_id == "sig-1"
    assert anomalies(telemetry) == {"malformed": 1}
    assert broken(telemetry) == {}


def test_a_foreign_stamp(telemetry: Any, fields: Fields) -> None:
    """A stamp of an earlier hop, passed on by a peer that does not know it, is no wait."""
    traceparent = f"00-{'a' * 32}-{'b' * 16}-01"
    with tradespan.execution(carrier={**fields, "traceparent": traceparent}) as e:
        assert e.signal_id == "sig-1"
    assert anomalies(telemetry) == {"foreign": 1}
    assert "trading.wait" not in telemetry.span("execution").attributes


def test_no_traceparent_but_baggage(telemetry: Any, fields: Fields) -> None:
    """Without a trace the stamp has no parent to belong to; the journey is still known."""
    with tradespan.execution(carrier={"baggage": fields["baggage"]}) as e:
        assert e.signal_id == "sig-1"
    assert anomalies(telemetry) == {"foreign": 1}


def test_the_stamp_stands_on_no_span_and_in_no_baggage(telemetry: Any, fields: Fields) -> None:
    """`trading.sent` is taken out on arrival: it is on no span and goes no hop too far."""
    assert "trading.sent" in fields["baggage"]
    with tradespan.orchestration(carrier=fields):
        assert baggage.get_baggage("trading.sent") is None
        again = tradespan.inject({})["baggage"]
        with trace.get_tracer("x").start_as_current_span("GET"):
            pass
    assert again.count("trading.sent") == 1
    assert again != fields["baggage"]
    assert not [k for s in telemetry.spans for k in s.attributes if k == "trading.sent"]


def test_baggage_of_the_service_travels_along(telemetry: Any) -> None:
    """The service's own baggage goes on beside the journey."""
    token = context.attach(baggage.set_baggage("tenant", "a b"))
    with tradespan.signal():
        fields = tradespan.inject({})
    context.detach(token)
    with tradespan.execution(carrier=fields):
        assert baggage.get_baggage("tenant") == "a b"


class B3(TextMapPropagator):
    """A propagator with another header, as B3's single one."""

    @property
    def fields(self) -> set[str]:
        return {"b3"}

    def inject(self, carrier: Any, context: Any = None, setter: Any = None) -> None:
        span = trace.get_current_span(context).get_span_context()
        setter.set(carrier, "b3", f"{span.trace_id:032x}-{span.span_id:016x}-1")

    def extract(self, carrier: Any, context: Any = None, getter: Any = None) -> Any:
        found = getter.get(carrier, "b3")
        if not found:
            return context
        trace_id, span_id, _ = found[0].split("-")
        span = trace.SpanContext(int(trace_id, 16), int(span_id, 16), True, trace.TraceFlags(1))
        return trace.set_span_in_context(trace.NonRecordingSpan(span), context)


@carriers
def test_another_propagator_carries_the_journey_too(
    telemetry: Any, monkeypatch: pytest.MonkeyPatch, make: Callable[[Fields], Any]
) -> None:
    """With b3 configured the trace goes by its header, and journey and wait by baggage."""
    monkeypatch.setattr(propagate, "_HTTP_TEXT_FORMAT", JourneyPropagator(B3()))
    with tradespan.signal(signal_id="sig-1"):
        fields = dict(tradespan.inject({}))
    assert set(fields) == {"b3", "baggage"}
    if make in (row_of, CARRIERS["object"], CARRIERS["namedtuple"], CARRIERS["kafka-last-wins"]):
        make = dict  # their columns are those of W3C
    with tradespan.execution(carrier=make(fields)) as e:
        assert e.signal_id == "sig-1"
        assert e.wait is not None
    assert telemetry.span("execution").parent.span_id == telemetry.span("signal").context.span_id


def test_a_fragile_carrier_costs_only_the_journey(
    telemetry: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An object whose columns raise begins a new journey; the service never hears of it."""
    monkeypatch.setattr(guard, "strict", False)

    class Lazy:
        @property
        def traceparent(self) -> str:
            raise RuntimeError("detached from its session")

        baggage = traceparent

    with tradespan.execution(carrier=Lazy()) as e:
        e.filled(1.0, 2.0)
    assert telemetry.span("execution").attributes["trading.outcome"] == "ok"
    assert broken(telemetry) == {"malformed": 1}
    assert guard.failures["handoff.extract"] == 1


def hostile(random: random.Random, fields: Fields) -> Any:
    """A carrier as a broken peer, a fuzzer or an attacker might send it."""

    def text() -> str:
        alphabet = string.printable + "é漢\x00\ud800%=,;-"
        return "".join(random.choice(alphabet) for _ in range(random.randrange(80)))

    def damaged(value: str) -> str:
        chars = list(value)
        for _ in range(random.randrange(1, 4)):
            at = random.randrange(len(chars))
            chars[at : at + random.randrange(3)] = random.choice(["", "\x00", ",", "=", "%", "9"])
        return "".join(chars)

    values: list[Callable[[], Any]] = [
        text,
        lambda: random.randbytes(random.randrange(200)),
        lambda: None,
        lambda: random.random(),
        lambda: [text()],
        lambda: {"a": text()},
        lambda: damaged(fields["traceparent"]),
        lambda: damaged(fields["baggage"]),
        lambda: damaged(fields["baggage"]).encode("utf-8", "surrogatepass"),
        lambda: fields["baggage"] * random.randrange(1, 60),
    ]
    pairs = [
        (random.choice(["traceparent", "baggage", "tracestate", b"baggage", text(), 3, None]),
         random.choice(values)())
        for _ in range(random.randrange(5))
    ]  # fmt: skip
    return random.choice(
        [dict, list, tuple, lambda p: [*p, 1, None, ("one",)], lambda p: random.choice(values)()]
    )(pairs)


@pytest.mark.parametrize("seed", range(10))
def test_hostile_carriers(telemetry: Any, fields: Fields, seed: int) -> None:
    """Whatever arrives: no failure of ours, one stage, a journey within its bounds."""
    source = random.Random(seed)
    for n in range(1, 101):
        carrier = hostile(source, fields)
        with tradespan.stage("hostile", carrier=carrier) as s:
            assert s.journey is not None
            assert 1 <= len(s.signal_id) <= 64
            assert s.signal_id.isprintable()
            assert s.journey.mode in ("live", "paper", "backtest", "replay", "synthetic")
            assert s.wait is None or s.wait >= 0
            if isinstance(carrier, dict):
                tradespan.inject(carrier)
        with tradespan.extract(carrier):
            pass
        assert len([x for x in telemetry.spans if x.name == "hostile"]) == n
    assert not guard.failures
    assert journey.current_journey() is None
