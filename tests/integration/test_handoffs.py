"""Declared streams and keys against real servers, in several processes, and when servers go."""

from __future__ import annotations

import asyncio
import inspect
import itertools
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pydantic
import pytest
import redis
import redis.asyncio
import redis.asyncio.cluster
import redis.cluster

import tradespan
from tests.integration.conftest import held_port, missing, running
from tradespan import guard
from tradespan.handoffs import by_key
from tradespan.handoffs import redis as streams
from tradespan.handoffs.redis import connection
from tradespan.handoffs.redis import streams as memory

PLAIN = {"symbol": "BTC-USD", "side": "buy", "note": "grüße"}
GROUP, READER = "orchestrators", "one"
PATIENCE_S = 20.0


class Strict(pydantic.BaseModel):
    """What a consumer that takes no other fields makes of an entry."""

    model_config = pydantic.ConfigDict(extra="forbid")
    symbol: str
    side: str
    note: str


def unpacked(symbol: str, side: str, note: str) -> tuple[str, str, str]:
    """What a consumer that unpacks an entry makes of it."""
    return symbol, side, note


@pytest.fixture(autouse=True)
def _clean(telemetry: Any) -> Iterator[None]:
    yield
    memory.reset()
    connection.wanted.clear()
    connection.seen.clear()


@pytest.fixture(params=["embedded_redis", "real_redis"])
def server(request: pytest.FixtureRequest) -> str:
    """Address of a Redis: the example's own, and the real one."""
    return str(request.getfixturevalue(request.param))


def program() -> str:
    """The real server."""
    found = shutil.which("redis-server")
    if found is None:
        missing("redis-server", "apt-get install redis-server")
    return str(found)


def until(holds: Callable[[], Any], what: str) -> Any:
    """The first true answer."""
    deadline = time.monotonic() + PATIENCE_S
    while not (found := holds()):
        assert time.monotonic() < deadline, what
        time.sleep(0.02)
    return found


def entries_of(response: Any) -> list[tuple[Any, ...]]:
    """The entries in whatever shape a stream command answers with."""
    if isinstance(response, dict):
        return [e for value in response.values() for e in entries_of(value)]
    if isinstance(response, tuple):
        return [response]
    if isinstance(response, list):
        return [e for value in response for e in entries_of(value)]
    return []


def shape_of(value: Any) -> Any:
    """The value with ids and dict subclasses levelled, types of all else kept."""
    if isinstance(value, dict):
        return {k: shape_of(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(shape_of(v) for v in value)
    return type(value) if isinstance(value, int) or b"-" in _bytes(value) else value


def _bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


def reads(client: Any, stream: str) -> list[Callable[[Any], Any]]:
    """Every command that answers with entries, in an order in which each finds some."""
    ids: list[Any] = []

    def note(found: Any) -> Any:
        ids.extend(e[0] for e in entries_of(found))
        return found

    return [
        lambda c: c.xread({stream: "0"}),
        lambda c: c.xread(streams={stream: "0"}, count=5),
        lambda c: c.xrange(stream),
        lambda c: c.xrevrange(name=stream, count=1),
        lambda c: c.xreadgroup(GROUP, READER, {stream: ">"}),
        lambda c: c.xreadgroup(GROUP, READER, streams={stream: "0"}),
        lambda c: c.xautoclaim(stream, GROUP, "two", 0),
        lambda c: c.xclaim(stream, GROUP, "two", 0, [entry_id(client, stream)]),
        lambda c: c.execute_command("XRANGE", stream, "-", "+"),
        lambda c: c.execute_command("xreadgroup", "GROUP", GROUP, "two", "STREAMS", stream, "0"),
    ]


def entry_id(client: Any, stream: str) -> Any:
    """The id of the stream's only entry."""
    return client.xinfo_stream(stream)["last-entry"][0]


async def answers(
    url: str, stream: str, kind: str, options: dict[str, Any], add: Callable[[Any], Any]
) -> list[Any]:
    """What a fresh stream's commands answer after one entry was added."""
    plain = redis.Redis.from_url(url, **options)
    found: list[Any] = []
    try:
        plain.delete(stream)
        if "async" in kind:
            async with redis.asyncio.Redis.from_url(url, **options) as client:
                await run_async(client, kind, [add])
                plain.xgroup_create(stream, GROUP, "0")
                found = await run_async(client, kind, reads(plain, stream))
        else:
            run_sync(plain, kind, [add])
            plain.xgroup_create(stream, GROUP, "0")
            found = run_sync(plain, kind, reads(plain, stream))
    finally:
        plain.close()
    return found


def run_sync(client: Any, kind: str, commands: list[Callable[[Any], Any]]) -> list[Any]:
    found: list[Any] = []
    for command in commands:
        if "pipeline" not in kind:
            found.append(command(client))
            continue
        with client.pipeline(transaction="transaction" in kind) as pipe:
            pipe.exists("nothing")
            command(pipe)
            found.append(pipe.execute()[1])
    return found


async def run_async(client: Any, kind: str, commands: list[Callable[[Any], Any]]) -> list[Any]:
    found: list[Any] = []
    for command in commands:
        if "pipeline" not in kind:
            found.append(await command(client))
            continue
        async with client.pipeline(transaction="transaction" in kind) as pipe:
            pipe.exists("nothing")
            command(pipe)
            found.append((await pipe.execute())[1])
    return found


SHAPES: list[dict[str, Any]] = [{}]
if "legacy_responses" in inspect.signature(redis.Redis).parameters:
    SHAPES.append({"legacy_responses": False})
KINDS = ["sync", "sync pipeline", "sync transaction pipeline"]
KINDS += [kind.replace("sync", "async") for kind in KINDS]
WIRES: list[dict[str, Any]] = [
    {"protocol": protocol, "decode_responses": decode, **shapes}
    for protocol, decode, shapes in itertools.product((2, 3), (True, False), SHAPES)
]


def by_xadd(client: Any) -> Any:
    return client.xadd("signals", dict(PLAIN))


def by_words(client: Any) -> Any:
    return client.execute_command("XADD", "signals", "*", *itertools.chain(*PLAIN.items()))


@pytest.mark.parametrize("add", [by_xadd, by_words])
@pytest.mark.parametrize("kind", KINDS)
def test_a_declared_stream_carries_the_journey(
    server: str, kind: str, add: Callable[[Any], Any]
) -> None:
    """Every command of every client adds the journey and takes it out again, answers unchanged."""
    for options in WIRES:
        memory.reset()
        before = asyncio.run(answers(server, "signals", kind, options, add))
        streams.declare("signals", "signals", inject=True)
        streams.install()
        with tradespan.signal(symbol="BTC-USD") as signal:
            after = asyncio.run(answers(server, "signals", kind, options, add))
        assert shape_of(after) == shape_of(before), (kind, options)
        assert all(len(entries_of(a)) == 1 for a in after), after
        for response in after:
            (entry,) = entries_of(response)
            carrier = streams.carrier_of(entry)
            assert carrier is not None
            assert set(carrier) == {"traceparent", "baggage"}
            assert streams.carrier_of(entry[0]) == streams.carrier_of(entry[1]) == carrier
            with tradespan.extract(entry[1]) as journey:
                assert journey is not None
                assert journey.signal_id == signal.signal_id
            text = {_bytes(k).decode(): _bytes(v).decode() for k, v in entry[1].items()}
            assert Strict(**text).model_dump() == PLAIN
            assert unpacked(**text) == tuple(PLAIN.values())


def test_the_wire_has_two_more_fields(server: str) -> None:
    """What stands in Redis is the service's entry and two fields, nothing else."""
    streams.declare("signals", "signals", inject=True)
    streams.install()
    with redis.Redis.from_url(server, decode_responses=True) as client:
        fields = dict(PLAIN)
        with tradespan.signal():
            client.xadd("signals", fields, maxlen=10, id="*")
        client.xadd("signals", fields)
        assert fields == PLAIN
        memory.reset()
        (_, one), (_, none) = client.xrange("signals")
    assert list(one) == [*PLAIN, "traceparent", "baggage"]
    assert none == PLAIN


def test_without_inject_nothing_changes(server: str) -> None:
    """A stream without inject, and one not declared, are sent and read exactly as before."""
    streams.declare("signals", "signals", inject=False)
    streams.declare("others", "others", inject=True)
    streams.install()
    with redis.Redis.from_url(server, decode_responses=True) as client:
        for stream in ("signals", "unknown"):
            with tradespan.signal():
                client.xadd(stream, tradespan.inject(PLAIN))
                client.xadd(stream, PLAIN)
            (_, by_hand), (_, plain) = client.xrange(stream)
            assert plain == PLAIN
            assert type(by_hand) is type(plain) is dict
            assert list(by_hand) == [*PLAIN, "traceparent", "baggage"]


def test_a_watched_pipeline_that_answers_at_once(server: str) -> None:
    """After WATCH a pipeline answers at once, and so it does without the journey's fields."""
    streams.declare("signals", "signals", inject=True)
    streams.install()

    async def asynchronous() -> Any:
        async with redis.asyncio.Redis.from_url(server) as client, client.pipeline() as pipe:
            await pipe.watch("signals")
            return await pipe.xrange("signals")

    with redis.Redis.from_url(server) as client, client.pipeline() as pipe:
        with tradespan.signal():
            client.xadd("signals", PLAIN)
        pipe.watch("signals")
        at_once = pipe.xrange("signals")
        pipe.multi()
        pipe.xrange("signals")
        later = pipe.execute()[0]
    found = asyncio.run(asynchronous())
    assert at_once == later == found
    assert all(streams.carrier_of(e[1]) for e in at_once + later + found)


def test_the_queue_is_measured(real_redis: str, telemetry: Any) -> None:
    """Depth, oldest age and rate follow what is added, delivered and acknowledged."""
    labels = {"stream": "signals", "group": GROUP}
    watched = streams.watch("signals", GROUP, interval=0.05)

    def gauge(name: str) -> float:
        return telemetry.last(f"trading.queue.{name}", **labels) or 0.0

    try:
        with redis.Redis.from_url(real_redis) as client:
            client.xgroup_create("signals", GROUP, "0", mkstream=True)
            minute = int(time.time() * 1000) - 60_000
            client.xadd("signals", PLAIN, id=f"{minute}-1")
            for _ in range(3):
                client.xadd("signals", PLAIN)
            until(lambda: gauge("depth") == 4, "four wait")
            until(lambda: 60 <= gauge("oldest.age") < 120, "the first is a minute old")
            ((_, taken),) = client.xreadgroup(GROUP, READER, {"signals": ">"}, count=2)
            until(lambda: gauge("depth") == 4, "two given, not acknowledged")
            client.xack("signals", GROUP, *(entry for entry, _ in taken))
            until(lambda: gauge("depth") == 2, "two acknowledged")
            until(lambda: gauge("oldest.age") < 60, "the old one is done")
            client.xdel("signals", client.xrange("signals", count=3)[2][0])  # Redis' lag is unknown
            until(lambda: gauge("depth") == 1, "one deleted")
            telemetry.points.clear()
            for _ in range(50):
                client.xadd("signals", PLAIN)
            until(lambda: any(p.value > 50 for p in telemetry.metric("trading.queue.rate")), "rate")
            client.xtrim("signals", maxlen=0)
            client.xgroup_destroy("signals", GROUP)
            client.xgroup_create("signals", GROUP, "$")
            until(lambda: telemetry.last("trading.queue.depth") == 0, "empty")
            until(lambda: telemetry.last("trading.queue.oldest.age") == 0.0, "none is old")
    finally:
        watched.stop()
    assert telemetry.spans == []


def test_an_outage_is_one_line(tmp_path: Path, telemetry: Any, caplog: Any) -> None:
    """A server that goes and comes back: one line each, then readings go on."""
    server = program()
    watched = None
    with held_port() as port:
        command = [server, "--bind", "127.0.0.1", "--port", str(port), "--dir", str(tmp_path)]
        command += ["--appendonly", "yes", "--appendfsync", "always"]
        url = f"redis://:secret@127.0.0.1:{port}"
        command += ["--requirepass", "secret"]
        try:
            with running(command, port), redis.Redis.from_url(url) as client:
                client.xgroup_create("signals", GROUP, "0", mkstream=True)
                client.xadd("signals", PLAIN)
                watched = streams.watch("signals", GROUP, interval=0.05, url=url)
                until(lambda: telemetry.last("trading.queue.depth") == 1, "measured")
            until(lambda: "does not answer" in caplog.text, "the outage is said")
            time.sleep(0.3)
            telemetry.points.clear()
            assert telemetry.metric("trading.queue.depth") == [], (
                "what is not measured is not shown"
            )
            with running(command, port):
                until(lambda: telemetry.last("trading.queue.depth") == 1, "measured again")
                until(lambda: "answers again" in caplog.text, "its end is said")
        finally:
            if watched:
                watched.stop()
    lines = [r.message for r in caplog.records if "queue of group" in r.message]
    said = [line.partition(":")[0].split(" signals ")[1] for line in lines][:2]
    assert said == ["does not answer", "answers again"]
    assert "secret" not in caplog.text


def test_a_cluster_carries_the_journey(tmp_path: Path) -> None:
    """Clients of a cluster and their pipelines carry it too."""
    with held_port() as port, held_port() as bus:
        command = [program(), "--bind", "127.0.0.1", "--port", str(port), "--dir", str(tmp_path)]
        command += ["--save", "", "--cluster-enabled", "yes", "--cluster-port", str(bus)]
        with running(command, port):
            node = redis.Redis(port=port, decode_responses=True)
            node.execute_command("CLUSTER ADDSLOTSRANGE", 0, 16383)
            until(
                lambda: (
                    "cluster_state:ok" in node.execute_command("CLUSTER INFO").__repr__()
                    or node.cluster("info").get("cluster_state") == "ok"
                ),
                "the cluster is up",
            )
            streams.declare("signals", "signals", inject=True)
            streams.install()
            with redis.cluster.RedisCluster(host="127.0.0.1", port=port) as client:
                with tradespan.signal():
                    client.xadd("signals", PLAIN)
                    with client.pipeline() as pipe:
                        pipe.xadd("signals", PLAIN)
                        pipe.execute_command("XRANGE", "signals", "-", "+")
                        found = pipe.execute()[1] + client.xrange("signals")

            async def asynchronous() -> Any:
                async with redis.asyncio.cluster.RedisCluster(host="127.0.0.1", port=port) as c:
                    with tradespan.signal():
                        async with c.pipeline() as pipe:
                            by_words(pipe)
                            pipe.xrange("signals")
                            return (await pipe.execute())[1] + await c.xrange("signals")

            found += asyncio.run(asynchronous())
            node.close()
    assert len(found) == 2 + 2 + 3 + 3
    expected = {k.encode(): v.encode() for k, v in PLAIN.items()}
    assert all(fields == expected and streams.carrier_of(fields) for _, fields in found)


SENDER = """
import sys, time, tradespan
from tradespan.handoffs import by_key
from tradespan.export.propagation import JourneyPropagator
from opentelemetry import propagate
propagate.set_global_textmap(JourneyPropagator(propagate.get_global_textmap()))
sender = by_key.Sender(by_key.open_store(sys.argv[1], "rows", 60.0))
for row in range(int(sys.argv[2]), int(sys.argv[3])):
    with tradespan.signal(signal_id=f"s{row}"):
        sender.send(row)
assert by_key.flush(10.0)
"""


@pytest.fixture(params=["sqlite", "embedded_redis", "real_redis"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Every kind of store."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'keys.sqlite'}"
    return str(request.getfixturevalue(request.param))


def test_several_processes_share_a_store(store_url: str, tmp_path: Path) -> None:
    """What two processes send is received in a third, each journey under its own key."""
    script = tmp_path / "sender.py"
    script.write_text(SENDER)
    env = {**os.environ, "PYTHONPATH": str(Path(tradespan.__file__).parents[1])}
    env |= {"TRADESPAN_MODE": "replay"}
    children = [
        subprocess.Popen([sys.executable, str(script), store_url, str(a), str(a + 200)], env=env)
        for a in (0, 200)
    ]
    store = by_key.open_store(store_url, "rows", 60.0)
    receiver = by_key.Receiver(store, retry=PATIENCE_S)
    try:
        for row in range(400):
            carrier = receiver.receive(str(row))
            assert carrier is not None, row
            with tradespan.extract(carrier) as journey:
                assert journey is not None
                assert journey.signal_id == f"s{row}"
        other = by_key.open_store(store_url, "others", 60.0)
        assert by_key.Receiver(other, retry=0.0).receive(1) is None
        other.close()
    finally:
        for child in children:
            assert child.wait(30) == 0
        store.close()


FORKED = """
import os, sys, time, tradespan, warnings
warnings.simplefilter("ignore")
from tradespan import instruments
from tradespan.handoffs import by_key, redis
from tradespan.export.propagation import JourneyPropagator
from opentelemetry import propagate
propagate.set_global_textmap(JourneyPropagator(propagate.get_global_textmap()))
noted = []
instruments.record = lambda metric, *_: noted.append(metric.name)
store = by_key.open_store(sys.argv[1], "rows", 60.0)
sender, receiver = by_key.Sender(store), by_key.Receiver(store, retry=5.0)
if len(sys.argv) > 2:
    redis.watch("signals", "orchestrators", 0.05, sys.argv[2])
def hand_on(name):
    with tradespan.signal(signal_id=name):
        sender.send(name)
    with tradespan.extract(receiver.receive(name)) as journey:
        assert journey.signal_id == name, journey
    late = receiver.late(name)
    while not late._found:
        time.sleep(0.01)
    noted.clear()
    while len(sys.argv) > 2 and not noted:
        time.sleep(0.01)
hand_on("parent")
child = os.fork()
hand_on("child" if child == 0 else "again")
assert by_key.flush(5.0)
if child == 0:
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
"""


def test_a_forked_child_goes_on(store_url: str, tmp_path: Path) -> None:
    """Parent and child send, receive and measure on, each with connections of its own."""
    script = tmp_path / "forked.py"
    script.write_text(FORKED)
    args = [store_url] if store_url.startswith("sqlite") else [store_url, store_url]
    if len(args) > 1:
        with redis.Redis.from_url(store_url) as client:
            client.xgroup_create("signals", GROUP, "0", mkstream=True)
    env = {**os.environ, "PYTHONPATH": str(Path(tradespan.__file__).parents[1])}
    env |= {"TRADESPAN_MODE": "replay"}
    done = subprocess.run(
        [sys.executable, str(script), *args], env=env, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_what_waits_is_written_when_the_store_comes_up(tmp_path: Path, caplog: Any) -> None:
    """Sent while the store is down: one line, nothing lost, received after it came up."""
    with held_port() as port:
        url = f"redis://127.0.0.1:{port}"
        store = by_key.open_store(url, "rows", 60.0)
        sender, receiver = by_key.Sender(store), by_key.Receiver(store)
        with tradespan.signal(signal_id="early"):
            for row in range(300):
                sender.send(row)
        assert sender.flush(0.5) is False
        assert receiver.receive(1) is None
        command = [program(), "--bind", "127.0.0.1", "--port", str(port), "--dir", str(tmp_path)]
        with running([*command, "--save", ""], port):
            assert until(lambda: sender.flush(1.0), "written")
            assert until(lambda: receiver.receive(299), "received")
            assert receiver.receive(0)
        store.close()
    lines = [r.message for r in caplog.records if "does not answer" in r.message]
    assert len(lines) == 2, lines  # one that sends, one that receives
    assert not guard.failures
