"""Depth, rate and oldest age of a consumer group, measured by the one service that owns it."""

from __future__ import annotations

import functools
import itertools
import logging
import os
import threading
import time
from dataclasses import dataclass
from typing import Any

from tradespan import instruments, readings
from tradespan.guard import guard
from tradespan.handoffs.quiet import Outage, unseen
from tradespan.handoffs.redis import connection, hooks, streams
from tradespan.semconv import metrics
from tradespan.semconv.model import Metric

log = logging.getLogger("tradespan")

_COUNTED = 1000  # entries that are counted one by one where Redis does not know their number
_FIRST_CLIENT = 0.2  # seconds between looks for the service's own client
_EARLIEST_MS = 946_684_800_000  # the year 2000: an id before it is not made of the wall clock
_POLL = guard("redis.watch")
_MEASURED = (
    metrics.TRADING_QUEUE_DEPTH,
    metrics.TRADING_QUEUE_OLDEST_AGE,
    metrics.TRADING_QUEUE_RATE,
)


@dataclass(frozen=True, slots=True)
class Reading:
    """What a group looked like at one time.

    Attributes:
        depth: entries not yet acknowledged.
        oldest_ms: the id's milliseconds of the oldest of them; None when there is none.
        added: entries ever added; None when this Redis does not count them.
        newest: id of the newest entry ever added.
    """

    depth: int
    oldest_ms: int | None
    added: int | None
    newest: str


class Watch:
    """A daemon thread that asks Redis and sets the gauges; stands up again after a fork.

    What is not measured is not shown: in an outage, and after the end, the series end.

    Arguments:
        stream: key of the stream.
        group: consumer group.
        interval: seconds between readings.
        url: of the Redis; None is where the service's own client is connected.
    """

    def __init__(self, stream: str, group: str, interval: float, url: str | None) -> None:
        self._stream, self._group, self._interval, self._url = stream, group, interval, url
        self._labels = {"stream": stream, "group": group}
        self._outage = Outage(
            f"the queue of group {group} in Redis stream {stream}", "it is not measured"
        )
        self.start()

    def start(self) -> None:
        """Begin, and begin anew in a forked child, with a connection of its own."""
        self._outage.after_fork()
        self._stopped = threading.Event()
        self._client: Any = None
        self._before: tuple[Reading, float] | None = None
        self._thread = threading.Thread(target=self._run, name="tradespan-queue", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End, and with it the series."""
        self._stopped.set()
        self._thread.join(5)
        self._forget()
        _watches.pop((self._stream, self._group), None)

    def poll(self) -> bool:
        """Take one reading; False when there is no client to ask yet. Never raises."""
        with unseen():
            try:
                self._client = self._client or self._connect()
                if self._client is None:
                    return False
                reading = read(self._client, self._stream, self._group)
                with _POLL:
                    self._record(reading, time.monotonic())
            except Exception as error:
                self._client = self._before = None
                self._forget()
                self._outage.failed(error)
            else:
                self._outage.over()
        return True

    def _run(self) -> None:
        stopped, wait = self._stopped, 0.0
        while not stopped.wait(wait):
            wait = self._interval if self.poll() else min(_FIRST_CLIENT, self._interval)

    def _connect(self) -> Any:
        if self._url is not None:
            return connection.from_url(self._url, 2.0, 2.0, "url")
        make = connection.seen.get(self._stream)
        return make() if make else None

    def _record(self, now: Reading, at: float) -> None:
        instruments.record(metrics.TRADING_QUEUE_DEPTH, now.depth, self._labels, _POLL.site)
        if now.oldest_ms is None or now.oldest_ms >= _EARLIEST_MS:
            age = max(0.0, time.time() - now.oldest_ms / 1e3) if now.oldest_ms else 0.0
            instruments.record(metrics.TRADING_QUEUE_OLDEST_AGE, age, self._labels, _POLL.site)
        else:
            self._forget(metrics.TRADING_QUEUE_OLDEST_AGE)
        if self._before is not None:
            before, then = self._before
            added = self._added(before, now)
            rate = max(0, added) / max(at - then, 1e-3)
            instruments.record(metrics.TRADING_QUEUE_RATE, rate, self._labels, _POLL.site)
        self._before = (now, at)

    def _forget(self, *measured: Metric) -> None:
        with _POLL:
            for metric in measured or _MEASURED:
                readings.drop(metric, instruments.bound(metric, self._labels))

    def _added(self, before: Reading, now: Reading) -> int:
        if before.added is not None and now.added is not None:
            return now.added - before.added
        return _after(self._client, self._stream, before.newest, _COUNTED)[0]


def watch(stream: str, group: str, interval: float = 5.0, url: str | None = None) -> Watch:
    """Measure a consumer group from now on; a second call for the same group changes nothing.

    Sets `trading.queue.depth`: what the group has not been given yet (Redis' own lag) and what it
    has been given and not acknowledged. Where Redis does not know the lag (before 7, or after
    deletions inside the stream) entries are counted, up to 1000 of them. Sets
    `trading.queue.oldest.age`: by the oldest one's id against the wall clock, 0 when there is none;
    left out where ids are not made of the wall clock. Sets `trading.queue.rate`: entries added per
    second since the reading before. An outage is one warning, and the series end until it is over.

    Arguments:
        stream: key of the stream; need not exist yet.
        group: consumer group.
        interval: seconds between readings.
        url: of the Redis; None is where the first client of this process that uses the stream is
            connected, which sentinel and cluster clients cannot tell.

    Raises:
        ConfigError: the url cannot be used.
    """
    known = _watches.get((stream, group))
    if known is not None:
        return known
    if url is not None:
        connection.from_url(url, 2.0, 2.0, "url")
    else:
        connection.wanted.add(stream)
        if stream not in streams.declared:
            streams.declare(stream, stream, inject=False)
        hooks.install()
    if not _watches:
        _stand_up_after_fork()
    started = Watch(stream, group, interval, url)
    _watches[stream, group] = started
    return started


def read(client: Any, stream: str, group: str) -> Reading:
    """Ask Redis once.

    Raises:
        LookupError: the stream has no such group.
        redis.RedisError: Redis does not answer, or not like this.
    """
    from redis.exceptions import ResponseError

    try:
        info = client.xinfo_stream(stream)
        groups = client.xinfo_groups(stream)
    except ResponseError as error:
        if "no such key" not in str(error).lower():
            raise
        return Reading(0, None, 0, "0-0")
    found = next((g for g in groups if streams.text(g["name"]) == group), None)
    if found is None:
        raise LookupError("there is no such group")
    pending = int(found["pending"])
    oldest = [client.xpending(stream, group)["min"]] if pending else []
    lag, delivered = found.get("lag"), streams.text(found["last-delivered-id"])
    if lag is None or lag > 0:
        count, first = _after(client, stream, delivered, _COUNTED if lag is None else 1)
        lag, oldest = count if lag is None else lag, [*oldest, first]
    ages = [int(streams.text(entry).partition("-")[0]) for entry in oldest if entry is not None]
    return Reading(
        depth=int(lag) + pending,
        oldest_ms=min(ages, default=None),
        added=info.get("entries-added"),
        newest=streams.text(info["last-generated-id"]),
    )


def _after(client: Any, stream: str, entry: str, most: int) -> tuple[int, Any]:
    """How many entries come after this one, up to a number, and the id of the first."""
    ms, _, sequence = entry.partition("-")
    start, count, first = f"{ms}-{int(sequence or 0) + 1}", 0, None
    for size in itertools.repeat(min(most, 100)):
        page = client.execute_command("XRANGE", stream, start, "+", "COUNT", size)
        count += len(page)
        first = page[0][0] if page and first is None else first
        if len(page) < size or count >= most:
            break
        ms, _, sequence = streams.text(page[-1][0]).partition("-")
        start = f"{ms}-{int(sequence) + 1}"
    return count, first


_watches: dict[tuple[str, str], Watch] = {}


@functools.cache
def _stand_up_after_fork() -> None:
    os.register_at_fork(after_in_child=_after_fork)


def _after_fork() -> None:
    for started in list(_watches.values()):
        started.start()
