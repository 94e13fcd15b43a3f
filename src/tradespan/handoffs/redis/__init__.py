"""Redis streams that carry the journey by declaration: the service's code stays as it is.

Producers of a declared stream add the journey's fields to each entry, consumers take them out again
before the service sees the entry. One owner service measures the queue.
"""

from tradespan.handoffs.carrier import Fields
from tradespan.handoffs.redis.hooks import install
from tradespan.handoffs.redis.queues import Watch, watch
from tradespan.handoffs.redis.streams import carrier_of, declare

__all__ = ["Fields", "Watch", "carrier_of", "declare", "install", "watch"]
