"""A journey under a key: the sender does not wait, the receiver waits a little, nothing raises."""

from __future__ import annotations

import asyncio
import enum
import json
import socket
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import redis
from fakeredis import TcpFakeServer
from opentelemetry.instrumentation.redis import RedisInstrumentor

import tradespan
from tradespan import guard
from tradespan.handoffs import by_key
from tradespan.handoffs.by_key import late
from tradespan.handoffs.by_key.key import Item, text_of
from tradespan.settings import ConfigError

PATIENCE_S = 20.0


@pytest.fixture(scope="module")
def redis_url() -> Iterator[str]:
    """Address of a server in this process."""
    server = TcpFakeServer(("127.0.0.1", 0), server_type="redis")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"redis://127.0.0.1:{server.server_address[1]}/1"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(params=["redis", "sqlite"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Each kind of store."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'keys.db'}"
    url = str(request.getfixturevalue("redis_url"))
    with redis.Redis.from_url(url) as client:
        client.flushall()
    return url


@pytest.fixture
def store(url: str, telemetry: Any) -> Iterator[by_key.Store]:
    """An open store."""
    made = by_key.open_store(url, "rows", 60.0)
    yield made
    made.close()


class Memory:
    """A store of this process that counts, waits and fails as told."""

    name, ttl = "memory", 60.0

    def __init__(self) -> None:
        self.kept: dict[str, dict[str, str]] = {}
        self.asked = 0
        self.error: Exception | None = None
        self.open = threading.Event()
        self.open.set()

    def put(self, items: Sequence[Item]) -> None:
        assert self.open.wait(PATIENCE_S)
        if self.error:
            raise self.error
        self.kept.update({key: carrier for key, carrier, _ in items})

    def get(self, key: str) -> dict[str, str] | None:
        self.asked += 1
        if self.error:
            raise self.error
        return self.kept.get(key)

    def close(self) -> None: ...

    def after_fork(self) -> None: ...


def send(sender: by_key.Sender, key: object) -> str:
    """A journey sent under the key; its signal id."""
    with tradespan.signal() as signal:
        sender.send(key)
    return signal.signal_id


def signal_of(carrier: dict[str, str] | None) -> str | None:
    """The signal id of what was received."""
    if carrier is None:
        return None
    with tradespan.extract(carrier) as journey:
        return journey.signal_id if journey else None


def until(holds: Callable[[], Any], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


def test_a_journey_is_received_by_its_key(store: by_key.Store, telemetry: Any) -> None:
    """The stage after the row is a child of the stage before it, and its wait is known."""
    sender, receiver = by_key.Sender(store), by_key.Receiver(store)
    sent = send(sender, 7)
    assert by_key.flush(PATIENCE_S)
    assert signal_of(asyncio.run(receiver.areceive("7"))) == sent
    assert signal_of(receiver.receive(b"7")) == sent
    with tradespan.execution(carrier=receiver.receive(7), symbol="BTC-USD") as execution:
        execution.filled(quantity=1, price=1)
    signal, stage = telemetry.span("signal"), telemetry.span("execution")
    assert stage.parent.span_id == signal.context.span_id
    assert stage.attributes["trading.wait"] >= 0
    assert receiver.receive(8) is None


def test_a_key_that_comes_after_the_stage_has_begun(store: by_key.Store, telemetry: Any) -> None:
    """It is asked for in the background until it is there; to take it never waits."""
    sender, receiver = by_key.Sender(store), by_key.Receiver(store)
    early, late = receiver.late("row"), receiver.late("row")
    assert early is not None
    assert late is not None
    assert early.take() is None
    sent = send(sender, "row")
    assert sender.flush(PATIENCE_S)
    until(lambda: late._found, "found")
    assert signal_of(late.take()) == sent
    assert early.take() is None


def test_a_key_that_never_comes_is_asked_for_ever_more_seldom(
    telemetry: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each pause is twice the one before, and the last one is the longest."""
    store, asked = Memory(), []
    put = late._Asking.put

    def noting(asking: Any, one: late.Late, pause: float) -> None:
        asked.append((one, pause))
        put(asking, one, pause)

    monkeypatch.setattr(late._Asking, "put", noting)
    monkeypatch.setattr(late, "_FIRST_S", 0.001)
    monkeypatch.setattr(late, "_LONGEST_S", 0.03)
    mine = by_key.Receiver(store).late("row")
    until(lambda: store.asked == 6, "given up")
    assert [pause for one, pause in asked if one is mine] == [0.001 * 2**n for n in range(6)]


def test_a_redis_that_never_answers_is_asked_once(telemetry: Any) -> None:
    """The wait for an answer is not doubled by a second attempt."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(8)
        store = by_key.open_store(f"redis://127.0.0.1:{silent.getsockname()[1]}", "rows", 60.0)
        with pytest.raises(redis.exceptions.TimeoutError):
            store.get("row")
        silent.setblocking(False)
        asked = [silent.accept()[0]]
        with pytest.raises(BlockingIOError):
            asked.append(silent.accept()[0])
        for one in asked:
            one.close()
        store.close()


def test_the_newest_of_a_key_counts(store: by_key.Store) -> None:
    """A key that is used again belongs to the later journey."""
    sender, receiver = by_key.Sender(store), by_key.Receiver(store)
    send(sender, "row")
    last = send(sender, "row")
    assert sender.flush(PATIENCE_S)
    assert signal_of(receiver.receive("row")) == last


def test_without_a_journey_nothing_is_sent(telemetry: Any) -> None:
    """A row that no journey writes leaves nothing under its key."""
    store = Memory()
    sender = by_key.Sender(store)
    sender.send("row")
    assert sender.flush(PATIENCE_S)
    assert store.kept == {}


def test_a_key_that_comes_a_little_late_is_found(telemetry: Any) -> None:
    """The row is seen before the key: the receiver asks again, in a thread and in a loop."""

    class Late(Memory):
        def get(self, key: str) -> dict[str, str] | None:
            return super().get(key) if self.asked % 5 == 4 else self._miss()

        def _miss(self) -> None:
            self.asked += 1

    store = Late()
    sender, receiver = by_key.Sender(store), by_key.Receiver(store, retry=PATIENCE_S)
    sent = send(sender, "row")
    assert sender.flush(PATIENCE_S)
    assert signal_of(receiver.receive("row")) == sent
    assert signal_of(asyncio.run(receiver.areceive("row"))) == sent
    assert store.asked == 10


def test_the_wait_is_bounded(telemetry: Any) -> None:
    """A key that never comes ends in nothing, after several tries."""
    store = Memory()
    receiver = by_key.Receiver(store)
    assert receiver.receive("row") is None
    tries, store.asked = store.asked, 0
    assert asyncio.run(receiver.areceive("row")) is None
    assert tries > 1
    assert store.asked > 1
    store.asked = 0
    assert by_key.Receiver(store, retry=0.0).receive("row") is None
    assert store.asked == 1


def test_a_running_loop_is_not_held_up(telemetry: Any) -> None:
    """In a loop the sync call asks once; the async one lets others run, a stuck store included."""
    store = Memory()
    receiver = by_key.Receiver(store, retry=0.2)
    stuck = threading.Event()

    async def main() -> int:
        assert receiver.receive("row") is None
        assert store.asked == 1
        steps = 0
        asked = asyncio.ensure_future(receiver.areceive("row"))
        while not asked.done():
            await asyncio.sleep(0)
            steps += 1
        assert asked.result() is None
        store.get = lambda key: stuck.wait(PATIENCE_S)  # type: ignore[assignment, return-value]
        assert await receiver.areceive("row") is None
        waiting = asyncio.ensure_future(receiver.areceive("row"))
        await asyncio.sleep(0.01)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        stuck.set()
        return steps

    assert asyncio.run(main()) > 10


def test_a_journey_expires(url: str, telemetry: Any) -> None:
    """After its time nothing is received, and the store forgets it."""
    store = by_key.open_store(url, "rows", 60.0)
    receiver = by_key.Receiver(store, retry=0.0)
    store.put([("old", {"traceparent": "t"}, time.time() + 0.05)])
    store.put([("new", {"traceparent": "t"}, time.time() + 60)])
    store.put([("dead", {"traceparent": "t"}, time.time() - 1)])
    assert receiver.receive("new") == {"traceparent": "t"}
    assert receiver.receive("dead") is None
    until(lambda: receiver.receive("old") is None, "expired")
    store.close()
    if url.startswith("redis"):
        with redis.Redis.from_url(url) as client:
            assert client.keys() == [b"tradespan:rows:new"]
            assert 0 < client.pttl("tradespan:rows:new") <= 60_000
        return
    again = by_key.open_store(url, "rows", 60.0)  # the first write purges
    again.put([("more", {}, time.time() + 60)])
    again.close()
    db = sqlite3.connect(url.removeprefix("sqlite:///"))
    assert sorted(db.execute("SELECT key FROM journeys")) == [("more",), ("new",)]
    db.close()


def test_spaces_are_apart(url: str, telemetry: Any) -> None:
    """Two hand-offs share a store without meeting."""
    one, other = (by_key.open_store(url, space, 60.0) for space in ("one", "other"))
    sender = by_key.Sender(one)
    send(sender, "row")
    assert sender.flush(PATIENCE_S)
    assert by_key.Receiver(other, retry=0.0).receive("row") is None
    assert by_key.Receiver(one).receive("row")
    one.close()
    other.close()


class Colour(enum.Enum):
    """An enum whose member is a key."""

    RED = 7


@pytest.mark.parametrize(
    "key",
    [
        0, -1, 7.5, True, "", " ", "\0", "a\nb", "ü" * 500, "\ud800", b"\xff\xfe", b"", "'; DROP",
        2**200, Decimal("1.10"), uuid.UUID(int=5), date(2025, 1, 13), Colour.RED, "x" * 100_000,
        memoryview(b"m"), bytearray(b"b"), float("nan"), "tradespan:rows:a", "*",
    ],
    ids=lambda key: type(key).__name__,
)  # fmt: skip
def test_any_scalar_is_a_key(store: by_key.Store, key: object) -> None:
    """Whatever a service has as its row's key is found again."""
    sender, receiver = by_key.Sender(store), by_key.Receiver(store)
    sent = send(sender, key)
    send(sender, "another")
    assert sender.flush(PATIENCE_S)
    assert signal_of(receiver.receive(key)) == sent
    assert len(text_of(key)) <= 200


def test_both_sides_agree_on_a_key() -> None:
    """A number from the database and its text from JSON are one key; long keys stay apart."""
    assert text_of(7) == text_of("7") == text_of(b"7") == text_of(Colour.RED) == "7"
    number = uuid.uuid4()
    assert text_of(number) == text_of(str(number))
    assert text_of("x" * 500) != text_of("x" * 501)


class Unkeyable:
    """Raises wherever it is looked at."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


@pytest.mark.parametrize(
    "key",
    [None, {}, [], (1, 2), {1}, object(), Unkeyable(), 10**5000],
    ids=lambda k: type(k).__name__,
)
def test_what_is_no_key_is_counted(
    telemetry: Any, monkeypatch: pytest.MonkeyPatch, key: object
) -> None:
    """A path that leads to no scalar is one line and a count; the service goes on."""
    monkeypatch.setattr(guard, "strict", False)
    store = Memory()
    sender, receiver = by_key.Sender(store), by_key.Receiver(store, retry=0.0)
    send(sender, key)
    assert receiver.receive(key) is None
    assert receiver.late(key) is None
    assert asyncio.run(receiver.areceive(key)) is None
    assert (store.kept, store.asked) == ({}, 0)
    assert guard.failures == {"handoff.key.send": 1, "handoff.key.receive": 3}


def test_a_slow_store_does_not_hold_the_sender_up(telemetry: Any) -> None:
    """Sending goes on while the store stands still; the oldest are dropped, and counted."""
    store = Memory()
    store.open.clear()
    sender = by_key.Sender(store, limit=10)
    with tradespan.signal():
        sender.send("first")
        until(lambda: not sender._queue, "the writer has taken it")
        for row in range(25):
            sender.send(row)
    assert guard.failures["handoff.key.full"] == 15
    assert by_key.flush(0.05) is False
    store.open.set()
    assert by_key.flush(PATIENCE_S)
    assert set(store.kept) == {"first", *(str(row) for row in range(15, 25))}
    guard.failures.clear()


def test_a_store_that_is_down_is_one_line_each_way(
    telemetry: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Failures never reach the service; what waits is written when the store is back."""
    store = Memory()
    store.error = ConnectionError("redis://user:secret@host is gone")
    sender, receiver = by_key.Sender(store), by_key.Receiver(store)
    for row in range(5):
        send(sender, row)
        assert sender.flush(0.1) is False
        assert receiver.receive(row) is None
        assert asyncio.run(receiver.areceive(row)) is None
    assert store.asked == 1  # left alone for a while
    store.error = None
    assert sender.flush(PATIENCE_S)
    until(lambda: receiver.receive(4), "asked again")
    said = [r.message.partition(":")[0] for r in caplog.records]
    assert said.count("the store memory does not answer") == 2
    assert said.count("the store memory answers again") == 2
    assert "secret" not in caplog.text
    assert guard.failures == {}


@pytest.mark.parametrize(
    "kept",
    ["", "{", "[]", "7", '{"traceparent": 7}', "[" * 20_000, '{"a": "' + "x" * 40_000 + '"}'],
    ids=lambda kept: kept[:12],
)
def test_what_somebody_else_wrote_is_nothing(url: str, telemetry: Any, kept: str) -> None:
    """Values under our keys that we did not write are no journey."""
    store = by_key.open_store(url, "rows", 60.0)
    store.put([("row", {}, time.time() + 60)])
    if url.startswith("redis"):
        with redis.Redis.from_url(url) as client:
            client.set("tradespan:rows:row", kept)
    else:
        db = sqlite3.connect(url.removeprefix("sqlite:///"))
        with db:
            db.execute("UPDATE journeys SET carrier = ?", (kept,))
        db.close()
    assert by_key.Receiver(store, retry=0.0).receive("row") is None
    store.close()


def test_a_file_that_is_no_database_is_one_line(
    telemetry: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The service's own file under this name is left as it is."""
    file = tmp_path / "own.txt"
    file.write_text("mine " * 500)
    store = by_key.open_store(f"sqlite:///{file}", "rows", 60.0)
    sender, receiver = by_key.Sender(store), by_key.Receiver(store)
    send(sender, "row")
    assert sender.flush(0.5) is False
    assert receiver.receive("row") is None
    assert len([r for r in caplog.records if "does not answer" in r.message]) == 2
    assert file.read_text() == "mine " * 500
    store.close()


def test_the_store_leaves_no_trace(redis_url: str, telemetry: Any) -> None:
    """Redis commands of the hand-off make no spans inside a stage, the service's own do."""
    RedisInstrumentor().instrument()
    try:
        store = by_key.open_store(redis_url, "rows", 60.0)
        sender, receiver = by_key.Sender(store), by_key.Receiver(store)
        with tradespan.stage("work"), redis.Redis.from_url(redis_url) as client:
            client.get("own")
            sender.send("row")
            assert sender.flush(PATIENCE_S)
            assert receiver.receive("row")
            assert json.loads(client.get("tradespan:rows:row") or "")
    finally:
        RedisInstrumentor().uninstrument()
    store.close()
    assert [s.name for s in telemetry.spans] == ["GET", "GET", "work"]


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        ("", "redis://HOST"),
        ("postgres://user:secret@host/db", "redis://HOST"),
        ("redis://user:secret@host:99999", "Port out of range"),
        ("redis://user:secret@host:port", "redis://HOST"),
        ("sqlite:", "a file that all services see"),
        ("sqlite://keys.db", "a file that all services see"),
        ("sqlite:///", "a file that all services see"),
        ("sqlite:///:memory:", "a file that all services see"),
        ("sqlite:////nowhere/at/all/keys.db", "/nowhere/at/all must be a folder"),
        ("sqlite:////tmp", "must be a folder"),
    ],
)
def test_a_wrong_url_says_how_to_mend_it(url: str, hint: str) -> None:
    """What can never work is refused when it is opened, the password unsaid."""
    with pytest.raises(ConfigError) as caught:
        by_key.open_store(url, "rows", 60.0)
    assert caught.value.key == "store"
    assert hint in caught.value.hint
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("space", "ttl", "key"),
    [("", 60.0, "key"), ("a b", 60.0, "key"), ("x" * 65, 60.0, "key"), ("rows", 0.0, "ttl"),
     ("rows", -1.0, "ttl"), ("rows", float("inf"), "ttl"), ("rows", float("nan"), "ttl")],
)  # fmt: skip
def test_a_wrong_name_or_time_is_refused(space: str, ttl: float, key: str, tmp_path: Path) -> None:
    """The name and the time to live are checked when the store is opened."""
    with pytest.raises(ConfigError) as caught:
        by_key.open_store(f"sqlite:///{tmp_path}/keys.db", space, ttl)
    assert caught.value.key == key
