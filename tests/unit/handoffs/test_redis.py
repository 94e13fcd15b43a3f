"""Declared streams: what the service sends and reads stays its own, and nothing hostile hurts."""

from __future__ import annotations

import asyncio
import copy
import json
import logging
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import redis
import redis.asyncio
from fakeredis import TcpFakeServer
from opentelemetry.instrumentation.redis import RedisInstrumentor
from redis.exceptions import ConnectionError as NoConnection
from redis.exceptions import DataError, ResponseError

import tradespan
from tradespan import guard
from tradespan.handoffs import carrier as carriers
from tradespan.handoffs import redis as streams
from tradespan.handoffs.quiet import unseen
from tradespan.handoffs.redis import connection, hooks, queues
from tradespan.handoffs.redis import streams as memory
from tradespan.handoffs.redis.streams import taken_out
from tradespan.settings import ConfigError

PLAIN = {"symbol": "BTC-USD", "side": "buy"}
LABELS = {"stream": "signals", "group": "g"}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Address of a server in this process."""
    server = TcpFakeServer(("127.0.0.1", 0), server_type="redis")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"redis://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def client(url: str, telemetry: Any) -> Iterator[redis.Redis]:
    """A client of the service, of an empty Redis with one declared stream."""
    streams.declare("signals", "signals", inject=True)
    streams.install()
    with redis.Redis.from_url(url, decode_responses=True) as made:
        made.flushall()
        yield made
    memory.reset()
    connection.wanted.clear()
    connection.seen.clear()


def received(client: redis.Redis) -> Any:
    """The newest entry's fields."""
    return client.xrevrange("signals", count=1)[0][1]


def test_fields_are_a_dict_that_remembers() -> None:
    """Fields equal, show and serialise like the dict, and survive every way of copying."""
    fields = carriers.Fields(PLAIN, {"traceparent": "t"})
    assert fields == PLAIN
    assert json.dumps(fields) == json.dumps(PLAIN)
    assert repr(fields) == repr(PLAIN)
    assert {**fields} == dict(**fields) == PLAIN
    pickled = [pickle.loads(pickle.dumps(fields, p)) for p in range(pickle.HIGHEST_PROTOCOL + 1)]
    for made in [copy.copy(fields), copy.deepcopy(fields), fields.copy(), *pickled]:
        assert made == PLAIN
        assert made is not fields
        assert streams.carrier_of(made) == {"traceparent": "t"}


def test_a_stage_joins_by_the_fields_alone(client: redis.Redis, telemetry: Any) -> None:
    """What was taken out of the fields is still the carrier of a stage, with its wait."""
    with tradespan.signal(symbol="BTC-USD"):
        client.xadd("signals", PLAIN)
    with tradespan.orchestration(carrier=received(client)) as stage:
        stage.approve()
    signal, orchestration = telemetry.span("signal"), telemetry.span("orchestration")
    assert orchestration.parent.span_id == signal.context.span_id
    assert orchestration.attributes["trading.wait"] >= 0


def test_a_copy_of_the_fields_is_known_by_its_id(client: redis.Redis) -> None:
    """Where the service makes a dict of its own, the entry's id still tells the carrier."""
    with tradespan.signal():
        client.xadd("signals", PLAIN)
    ((entry, fields),) = client.xrange("signals")
    known = streams.carrier_of(fields)
    assert known
    assert streams.carrier_of((entry, dict(fields))) == known
    assert streams.carrier_of([entry, dict(fields)]) == known
    assert streams.carrier_of(entry.encode()) == known
    assert streams.carrier_of(entry, "signals") == known
    assert streams.carrier_of(entry, "others") is None


@pytest.mark.parametrize("value", [None, 7, "", "x", b"\xff", {}, dict(PLAIN), [], (), [None, {}]])
def test_what_carries_nothing_is_none(client: redis.Redis, value: object) -> None:
    """Anything that is no received entry has no carrier, and does not raise."""
    assert streams.carrier_of(value) is None


def test_an_id_of_two_streams_is_not_guessed(client: redis.Redis) -> None:
    """Entry ids are of one stream each: the same id from two is known with the stream only."""
    streams.declare("others", "others", inject=True)
    for stream in ("signals", "others"):
        with tradespan.signal():
            client.xadd(stream, PLAIN, id="5-1")
        client.xrange(stream)
    assert streams.carrier_of("5-1") is None
    one, other = streams.carrier_of("5-1", "signals"), streams.carrier_of("5-1", "others")
    assert one
    assert other
    assert one != other


def test_memory_is_bounded(client: redis.Redis) -> None:
    """Old entries are forgotten; their fields still tell."""
    fields = {**PLAIN, "baggage": "trading.signal.id=x", "traceparent": "t"}
    entries = taken_out("XRANGE", "signals", [(f"{n}-0", dict(fields)) for n in range(6000)])
    assert streams.carrier_of("5999-0") == {"baggage": "trading.signal.id=x", "traceparent": "t"}
    assert streams.carrier_of("0-0") is None
    assert streams.carrier_of(entries[0]) is not None


def test_fields_of_these_names_that_are_the_services_own_stay(client: redis.Redis) -> None:
    """A service's own `baggage`, or trace context of another making, is neither set nor taken."""
    for own in ({"baggage": "2 bags"}, {"traceparent": "00-1-2-01"}, {"baggage": "a=b", "x": "y"}):
        with tradespan.signal():
            client.xadd("signals", {**PLAIN, **own})
        assert received(client) == {**PLAIN, **own}
        assert type(received(client)) is dict


def test_what_is_handed_on_by_hand_serves_too(client: redis.Redis) -> None:
    """An entry that the service has injected itself is not injected twice, and is taken out."""
    with tradespan.signal() as signal:
        client.xadd("signals", tradespan.inject(PLAIN))
    assert received(client) == PLAIN
    with tradespan.extract(received(client)) as journey:
        assert journey is not None
        assert journey.signal_id == signal.signal_id


@pytest.mark.parametrize(
    "words",
    [
        ("XADD", "signals", "*"),
        ("xadd", b"signals", "MAXLEN", "~", 1000, "*"),
        (b"XADD", "signals", "NOMKSTREAM", "MINID", "1-1", "LIMIT", 0, "5-1"),
    ],
)
def test_a_command_that_is_spelt_out(client: redis.Redis, words: tuple[Any, ...]) -> None:
    """It carries the journey like `xadd`, once, and its names stay the service's own."""
    client.xadd("signals", PLAIN, id="1-1")
    words = tuple(w for w in words if w not in ("~", "LIMIT", 0))  # which the test's server lacks
    fields = [word for pair in PLAIN.items() for word in pair]
    with tradespan.signal() as signal:
        client.execute_command(*words, *fields)
        carrier = streams.carrier_of(received(client))
        assert carrier is not None
        assert signal.signal_id in carrier["baggage"]
        assert received(client) == PLAIN
        for own in (("baggage", "2 bags"), (b"traceparent", "t", "symbol", "A")):
            client.execute_command("XADD", "signals", "*", *own)
            assert type(received(client)) is dict
            assert len(received(client)) == len(own) // 2
        client.execute_command("XADD", "signals", "*", "note", "baggage")
        assert streams.carrier_of(received(client))
    client.execute_command("XADD", "signals", "*", *fields)
    assert streams.carrier_of(received(client)) is None
    assert guard.failures == {}


def test_our_own_readings_are_not_remembered(client: redis.Redis) -> None:
    """What the measurement of a queue reads takes no room from the service's entries."""
    with tradespan.signal():
        client.xadd("signals", PLAIN)
    with unseen():
        ((entry, fields),) = client.execute_command("XRANGE", "signals", "-", "+")
    assert {"traceparent", "baggage"} < set(fields)
    assert streams.carrier_of(entry) is None


def test_an_entry_put_back_keeps_its_journey(client: redis.Redis) -> None:
    """A loop that puts entries back, in no stage, hands their journey on."""
    with tradespan.signal():
        client.xadd("signals", PLAIN)
    first = received(client)
    client.xadd("signals", first)
    assert received(client) == PLAIN
    assert streams.carrier_of(received(client)) == streams.carrier_of(first)


def test_mistakes_are_answered_as_before(client: redis.Redis) -> None:
    """Wrong arguments and refusals raise redis-py's own errors."""
    broken: Any = client
    with tradespan.signal():
        for fields in ({}, None, [("a", "b")]):
            with pytest.raises(DataError):
                broken.xadd("signals", fields)
        for arguments in ((), ("signals",)):
            with pytest.raises(TypeError):
                broken.xadd(*arguments)
    with pytest.raises(DataError):
        broken.xread({})
    with pytest.raises(ResponseError):
        client.xreadgroup("nobody", "one", {"signals": ">"})
    assert guard.failures == {}


def test_a_failure_of_ours_is_kept_away(
    client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The entry goes out, and comes in, as it is when something of ours breaks."""
    monkeypatch.setattr(guard, "strict", False)

    def broken(*_: Any) -> Any:
        raise RuntimeError("broken")

    with tradespan.signal(), monkeypatch.context() as patch:
        patch.setattr(memory, "to_send", broken)
        patch.setattr(memory, "with_journey", broken)
        client.xadd("signals", PLAIN)
    with tradespan.signal():
        client.xadd("signals", PLAIN)
    monkeypatch.setattr(memory, "taken_out", broken)
    (_, first), (_, second) = client.xrange("signals")
    with client.pipeline() as pipe:
        assert pipe.xrange("signals").execute()[0] == client.xrange("signals")
    assert first == PLAIN
    assert set(second) == {*PLAIN, "traceparent", "baggage"}
    assert guard.failures.keys() == {"redis.send", "redis.receive"}


@pytest.mark.parametrize(
    "response",
    [
        None, [], {}, b"", 0, [None], [[None, None]], [["signals", None]], {"signals": None},
        [(None, None)], [("1-0", None)], {"signals": [[("1-0", {})]]}, ["1-0", b"2-0"],
        [b"0-0", [("1-0", {"baggage": 7}), (None, None)], []], [("1-0", {"baggage": b"\xff="})],
    ],
)  # fmt: skip
@pytest.mark.parametrize("command", ["XREAD", "XRANGE", "XAUTOCLAIM"])
def test_odd_answers_stay_as_they_are(client: redis.Redis, command: str, response: Any) -> None:
    """Answers of deleted entries, of ids only, and of shapes not known, are passed on."""
    assert taken_out(command, "signals", copy.deepcopy(response)) == response


def test_names_of_every_type(client: redis.Redis) -> None:
    """A stream's name may be text, bytes or a number, the fields' names too."""
    streams.declare("numbers", "7", inject=True)
    broken: Any = client
    with tradespan.signal():
        broken.xadd(b"signals", {b"symbol": b"BTC-USD", "side": "buy"})
        broken.xadd(7, PLAIN)
    for stream in (b"signals", 7, "7"):
        ((_, fields),) = broken.xrange(stream)
        assert fields == PLAIN
        assert streams.carrier_of(fields)


def test_a_cancelled_read_is_cancelled(client: redis.Redis, url: str) -> None:
    """Cancellation goes through, and an async subclass of the service's is served as well."""

    class Slow(redis.asyncio.Redis):
        async def execute_command(self, *args: Any, **options: Any) -> Any:
            await asyncio.sleep(60)

    async def main() -> None:
        async with Slow.from_url(url) as slow:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await slow.xread({"signals": "$"})

    asyncio.run(main())


def test_installing_twice_wraps_once(client: redis.Redis) -> None:
    """A second install changes nothing."""
    streams.install()
    places: list[Any] = [
        redis.Redis.xadd,
        redis.Redis.execute_command,
        redis.client.Pipeline.execute,
    ]
    for wrapped in places:
        assert hasattr(wrapped, "__wrapped__")
        assert not hasattr(wrapped.__wrapped__, "__wrapped__")


def test_nothing_is_wrapped_without_a_declared_stream() -> None:
    """Without streams redis-py is not even imported; with one it is hooked as it comes."""
    script = """if True:
        import sys
        from tradespan.handoffs import redis as streams, by_key
        assert "redis" not in sys.modules
        streams.install()
        from redis.commands.core import StreamCommands
        from redis.client import Pipeline
        assert not hasattr(StreamCommands.xadd, "__wrapped__")
        assert not hasattr(Pipeline.execute, "__wrapped__")
        assert not hasattr(Pipeline.execute_command, "__wrapped__")
        for name in [n for n in sys.modules if n.partition(".")[0] == "redis"]:
            del sys.modules[name]
        streams.declare("signals", "signals", False)
        streams.install()
        import redis
        assert hasattr(redis.Redis.xadd, "__wrapped__")
        assert hasattr(redis.asyncio.client.Pipeline.execute, "__wrapped__")
        assert hasattr(redis.asyncio.Redis.execute_command, "__wrapped__")
    """
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_missing_place_is_one_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Another redis-py that lacks what we hold on to is one line, no error."""
    monkeypatch.setattr(hooks, "_CLIENTS", ())
    monkeypatch.setattr(hooks, "_PIPELINES", (("redis.client", "Gone"), ("redis.gone", "Pipeline")))
    monkeypatch.setattr(redis.commands.core.StreamCommands, "xadd", redis.Redis.xadd)
    hooks._hook(SimpleNamespace(__version__="99"))
    (line,) = [r.message for r in caplog.records]
    for place in ("redis.client.Gone", "redis.gone.Pipeline"):
        assert f"{place}.execute_command" in line
        assert f"{place}.execute," in f"{line.partition(':')[0]},"
    assert "redis 99 has no " in line
    assert "xadd" not in line


def until(holds: Callable[[], Any], what: str) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


@pytest.fixture
def watched(client: redis.Redis) -> Iterator[streams.Watch]:
    """A watch whose readings the test takes itself."""
    made = streams.watch("signals", "g", interval=3600)
    yield made
    made.stop()


def test_a_queue_is_measured_where_the_service_is_connected(
    client: redis.Redis, watched: streams.Watch, telemetry: Any
) -> None:
    """Without a url the first client that uses the stream shows the way; until then, nothing."""
    assert watched.poll() is False
    client.xadd("unrelated", PLAIN)
    assert watched.poll() is False
    client.xgroup_create("signals", "g", "0", mkstream=True)
    client.xadd("signals", PLAIN)
    assert watched.poll() is True
    assert telemetry.last("trading.queue.depth", **LABELS) == 1
    assert 0 <= telemetry.last("trading.queue.oldest.age", **LABELS) < 60
    assert telemetry.last("trading.queue.rate", **LABELS) is None
    ((_, taken),) = client.xreadgroup("g", "one", {"signals": ">"})
    client.xadd("signals", PLAIN)
    watched.poll()
    assert telemetry.last("trading.queue.depth", **LABELS) == 2
    assert telemetry.last("trading.queue.rate", **LABELS) > 0
    client.xack("signals", "g", taken[0][0])
    ((_, taken),) = client.xreadgroup("g", "one", {"signals": ">"})
    client.xack("signals", "g", taken[0][0])
    watched.poll()
    assert telemetry.last("trading.queue.depth", **LABELS) == 0
    assert telemetry.last("trading.queue.oldest.age", **LABELS) == 0
    assert telemetry.last("trading.queue.rate", **LABELS) == 0


@pytest.mark.parametrize("kind", ["sync", "async", "pipeline", "words"])
def test_every_kind_of_client_shows_the_way(
    client: redis.Redis, url: str, watched: streams.Watch, kind: str
) -> None:
    """A sync connection like the service's own is made of whatever client it has."""
    client.xgroup_create("signals", "g", "0", mkstream=True)

    async def asynchronous() -> None:
        async with redis.asyncio.Redis.from_url(url) as made:
            await made.xread({"signals": "0"})

    if kind == "async":
        asyncio.run(asynchronous())
    elif kind == "pipeline":
        client.pipeline().xadd("signals", PLAIN).execute()
    elif kind == "words":
        client.xgroup_create("others", "g", "0", mkstream=True)
        client.execute_command(
            "XREADGROUP", "GROUP", "g", "streams", "COUNT", 1, "streams", "others", "signals", 0, 0
        )
    else:
        client.xrange("signals")
    assert watched.poll() is True


def test_a_stream_that_is_not_there_yet_is_empty(
    client: redis.Redis, watched: streams.Watch, telemetry: Any
) -> None:
    """Before the first entry nothing waits."""
    client.xread({"signals": "0"})
    assert watched.poll() is True
    assert telemetry.last("trading.queue.depth", **LABELS) == 0
    assert telemetry.last("trading.queue.oldest.age", **LABELS) == 0


def test_a_group_that_is_not_there_is_one_line(
    client: redis.Redis,
    watched: streams.Watch,
    telemetry: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A misspelt group is said once and measures nothing."""
    client.xadd("signals", PLAIN)
    watched.poll()
    watched.poll()
    assert telemetry.last("trading.queue.depth", **LABELS) is None
    (line,) = [r.message for r in caplog.records]
    assert "there is no such group" in line


def test_ids_that_are_no_clock_have_no_age(
    client: redis.Redis, watched: streams.Watch, telemetry: Any
) -> None:
    """Entries with ids of the service's own count, but nobody knows how old they are."""
    client.xgroup_create("signals", "g", "0", mkstream=True)
    client.xadd("signals", PLAIN, id="1-1")
    watched.poll()
    assert telemetry.last("trading.queue.depth", **LABELS) == 1
    assert telemetry.last("trading.queue.oldest.age", **LABELS) is None


class Old:
    """A Redis that knows neither lag nor entries-added, as before 7."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def xinfo_stream(self, name: str) -> Any:
        info = dict(self._client.xinfo_stream(name))
        info.pop("entries-added", None)
        return info

    def xinfo_groups(self, name: str) -> Any:
        return [{**g, "lag": None} for g in self._client.xinfo_groups(name)]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


def test_an_old_redis_is_counted(
    client: redis.Redis, watched: streams.Watch, telemetry: Any
) -> None:
    """Where Redis knows no lag, entries are counted up to a bound, and the rate too."""
    client.xgroup_create("signals", "g", "0", mkstream=True)
    with client.pipeline() as pipe:
        for _ in range(1200):
            pipe.xadd("signals", PLAIN)
        ids = pipe.execute()
    old = Old(client)
    assert queues.read(old, "signals", "g").depth == 1000
    assert queues.read(client, "signals", "g").depth == 1200
    client.execute_command("XGROUP", "SETID", "signals", "g", ids[1049])
    reading = queues.read(old, "signals", "g")
    assert reading.depth == 150
    assert reading.oldest_ms == int(ids[1050].partition("-")[0])
    assert reading.added is None
    watched._client = old
    watched.poll()
    client.xadd("signals", PLAIN)
    watched.poll()
    assert telemetry.last("trading.queue.rate", **LABELS) > 0


def test_asking_leaves_no_trace(
    client: redis.Redis, watched: streams.Watch, telemetry: Any
) -> None:
    """Redis commands of ours make no spans, not even where the service's own do."""
    client.xgroup_create("signals", "g", "0", mkstream=True)
    RedisInstrumentor().instrument()
    try:
        with tradespan.stage("work"):
            client.xadd("signals", PLAIN)
            assert watched.poll() is True
    finally:
        RedisInstrumentor().uninstrument()
    assert [s.name for s in telemetry.spans] == ["XADD", "work"]


def test_an_outage_is_one_line_each(
    client: redis.Redis,
    watched: streams.Watch,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A Redis that does not answer is said once, and once more when it is back."""
    client.xgroup_create("signals", "g", "0", mkstream=True)
    client.xread({"signals": "0"})

    def gone(*_: Any) -> Any:
        raise NoConnection("redis://user:secret@host is gone")

    with monkeypatch.context() as patch:
        patch.setattr(queues, "read", gone)
        for _ in range(3):
            assert watched.poll() is True
    watched.poll()
    watched.poll()
    first, second = (r.message for r in caplog.records)
    assert "does not answer: it is not measured" in first
    assert "secret" not in first
    assert second.endswith("answers again")


def test_what_is_not_measured_is_not_shown(
    client: redis.Redis,
    watched: streams.Watch,
    telemetry: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In an outage and after the end the series end, rather than show what was."""

    def shown() -> list[Any]:
        telemetry.points.clear()
        names = ("depth", "oldest.age", "rate")
        return [telemetry.last(f"trading.queue.{name}", **LABELS) for name in names]

    client.xgroup_create("signals", "g", "0", mkstream=True)
    for _ in range(2):
        client.xadd("signals", PLAIN)
        watched.poll()
    depth, age, rate = shown()
    assert depth == 2
    assert 0 <= age < 60
    assert rate > 0
    with monkeypatch.context() as outage:
        outage.setattr(queues, "read", lambda *_: (_ for _ in ()).throw(NoConnection("down")))
        watched.poll()
        assert shown() == [None, None, None]
    watched.poll()
    assert shown()[0] == 2
    client.xadd("signals", PLAIN, id="9999999999999-1")
    monkeypatch.setattr(queues, "_EARLIEST_MS", 99_999_999_999_999)
    watched.poll()
    assert shown()[:2] == [3, None]
    watched.stop()
    assert shown() == [None, None, None]


def test_a_watch_runs_by_itself_and_once(client: redis.Redis, url: str, telemetry: Any) -> None:
    """The thread takes readings by its url; the same group is watched once."""
    client.xgroup_create("signals", "g", "0", mkstream=True)
    made = streams.watch("signals", "g", 0.01, url)
    try:
        assert streams.watch("signals", "g", 0.01, url) is made
        until(lambda: telemetry.last("trading.queue.depth", **LABELS) == 0, "measured")
    finally:
        made.stop()


def test_a_client_that_cannot_be_copied_asks_for_a_url(
    client: redis.Redis, watched: streams.Watch, caplog: pytest.LogCaptureFixture
) -> None:
    """Connections of another making are said once, with what to do."""
    foreign = type("Foreign", (), {"__module__": "elsewhere"})
    pool = SimpleNamespace(connection_class=foreign, connection_kwargs={})
    connection.see(SimpleNamespace(connection_pool=pool), "signals")
    assert watched.poll() is True
    (line,) = [r.message for r in caplog.records if r.levelno == logging.WARNING]
    assert "name a url" in line


@pytest.mark.parametrize(
    ("given", "made"),
    [
        ({"host": "h", "port": 1, "db": 2, "password": "p"}, "Connection"),
        ({"host": "h", "ssl": True, "ssl_ca_certs": "f"}, "SSLConnection"),
        ({"unix_socket_path": "/tmp/s"}, "UnixDomainSocketConnection"),
    ],
)
@pytest.mark.parametrize("kind", [redis.Redis, redis.asyncio.Redis])
def test_a_connection_is_like_the_services(kind: Any, given: Any, made: str) -> None:
    """Host, database, credentials and TLS are the service's own; its time limits are not."""
    copied = connection._client(*connection._settings(kind(**given, socket_timeout=99)))
    pool = copied.connection_pool
    assert pool.connection_class is getattr(redis.connection, made)
    ours = {"unix_socket_path": "path"}
    for name, value in given.items():
        if name != "ssl":
            assert pool.connection_kwargs[ours.get(name, name)] == value
    assert pool.connection_kwargs["socket_timeout"] == 2.0


def test_a_url_of_another_kind_is_refused() -> None:
    """A wrong url names the setting and keeps the password to itself."""
    with pytest.raises(ConfigError, match=r"url='http://\*\*\*@host'") as caught:
        streams.watch("signals", "g", 1.0, "http://user:secret@host")
    assert "redis://" in caught.value.hint
