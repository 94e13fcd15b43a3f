"""The Redis streams between the programs: how each of them connects, reads and acknowledges."""

import os
import time
from typing import Any

import redis

TICKS, DECISIONS, POSITIONS = "market:ticks", "trader:decisions", "positions"
KEPT = 10_000  # entries of a stream, about
BATCH, OLD = 20, 1000  # entries read at once, new and unacknowledged ones
RETRY_AFTER = 1.0  # seconds until an entry without an acknowledgement is delivered again

Entry = tuple[str, dict[str, str], int]  # id, fields, number of the delivery


def connect() -> redis.Redis:
    # RESP2: its answers to stream commands have one shape in every version of the client.
    url = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0")
    client: redis.Redis = redis.Redis.from_url(url, decode_responses=True, protocol=2)
    return client


def write(client: redis.Redis, stream: str, fields: dict[Any, Any]) -> None:
    client.xadd(stream, fields, maxlen=KEPT, approximate=True)


class Group:
    """A consumer group of one consumer, who gets what was not acknowledged again."""

    def __init__(self, client: redis.Redis, stream: str, name: str) -> None:
        self.client, self.stream, self.name = client, stream, name
        self._looked = time.monotonic()
        try:
            client.xgroup_create(stream, name, id="0", mkstream=True)
        except redis.ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise

    def read(self) -> list[Entry]:
        """What is to be done now; waits a little for it."""
        if time.monotonic() - self._looked >= RETRY_AFTER:
            self._looked = time.monotonic()
            if old := self._left_over():
                return old
        # A real Redis waits for BLOCK; the embedded one answers at once when COUNT is given too.
        answer: Any = self.client.xreadgroup(
            self.name, "1", {self.stream: ">"}, count=BATCH, block=100
        )
        if not answer:
            time.sleep(0.005)
        return [(entry, fields, 1) for _, entries in answer for entry, fields in entries]

    def done(self, entry: str) -> None:
        self.client.xack(self.stream, self.name, entry)

    def _left_over(self) -> list[Entry]:
        idle = int(RETRY_AFTER * 1000)
        claimed: Any = self.client.xautoclaim(self.stream, self.name, "1", idle, "0-0", count=OLD)
        entries = [(entry, fields) for entry, fields in claimed[1] if fields]
        if not entries:
            return []
        pending: Any = self.client.xpending_range(
            self.stream, self.name, entries[0][0], entries[-1][0], OLD, "1"
        )
        times = {entry["message_id"]: int(entry["times_delivered"]) for entry in pending}
        return [(entry, fields, times.get(entry, 2)) for entry, fields in entries]
