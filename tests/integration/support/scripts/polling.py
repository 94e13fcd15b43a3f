"""A loop that polls Redis and finds nothing; then one signal that is published."""

import os

import redis

import tradespan

client = redis.Redis.from_url(os.environ["REDIS"])
for _ in range(20):
    assert client.get("nothing") is None
    assert not client.xread({"signals": "0"}, count=1)
with tradespan.signal(symbol="BTC-USD"):
    client.xadd("signals", tradespan.inject({"payload": "{}"}))
((_, entries),) = client.xread({"signals": "0"}, count=1)
for _, fields in entries:
    with tradespan.orchestration(carrier=fields):
        client.set("seen", "1")
    with tradespan.extract(fields):
        client.get("seen")
