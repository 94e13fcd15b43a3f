"""A service that works for a while and ends by itself with exit code 7.

Its last line on stdout is the moment at which it was done.
"""

import os
import sys
import time

import steps

until = time.monotonic() + float(os.environ.get("SECONDS", "2"))
count = 0
while time.monotonic() < until:
    steps.once()
    count += 1
print("signals", count)
print("done", time.time())
sys.exit(7)
