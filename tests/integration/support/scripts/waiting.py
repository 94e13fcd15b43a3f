"""A plain script whose main thread only waits for its workers."""

import sys
import threading

import steps

worker = threading.Thread(target=steps.for_ever, daemon=sys.argv[1] == "daemon")
worker.start()
if sys.argv[1] == "daemon":
    worker.join()
