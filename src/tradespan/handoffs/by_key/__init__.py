"""A journey kept under a key, for a database row whose schema nobody will change.

The service that writes the row sends the journey under the row's key; the service that reads the
row receives it by the same key. Between them is a store with a time to live.
"""

from tradespan.handoffs.by_key.receive import Receiver
from tradespan.handoffs.by_key.send import Sender, flush
from tradespan.handoffs.by_key.sqlite import SqliteStore
from tradespan.handoffs.by_key.stores import RedisStore, Store, open_store

__all__ = ["Receiver", "RedisStore", "Sender", "SqliteStore", "Store", "flush", "open_store"]
