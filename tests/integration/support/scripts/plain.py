"""A plain script: stages in the main thread and in three daemon threads."""

import threading

import steps

for number in range(3):
    threading.Thread(target=steps.for_ever, args=(f"thread-{number}",), daemon=True).start()
steps.for_ever("main")
