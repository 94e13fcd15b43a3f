"""A plain script: some stages, perhaps its own call of start, and a flush whenever it is asked."""

import os
import sys
import time

from opentelemetry import metrics

import tradespan
from tradespan.export import endpoints

if os.environ.get("START"):
    print(endpoints.start(port=int(os.environ["START"])).port, flush=True)
with tradespan.execution(symbol='BTC"\n\\USD', side="buy") as execution:
    execution.filled(quantity=1, price=2)
print("ready", flush=True)
for line in sys.stdin if os.environ.get("FLUSH") else ():
    metrics.get_meter_provider().force_flush()
    print("flushed", line.strip(), flush=True)
time.sleep(float(os.environ.get("SECONDS", "60")))
