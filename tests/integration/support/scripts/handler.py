"""A script with its own SIGTERM handler."""

import signal
import sys
import threading
from types import FrameType

import steps


def leave(number: int, frame: FrameType | None) -> None:
    if sys.argv[1] == "exit":
        sys.exit(3)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # as uvicorn does it
    signal.raise_signal(number)


assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL, "it looks as it always did"
assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
signal.signal(signal.SIGTERM, leave)
assert signal.getsignal(signal.SIGTERM) is leave
threading.Thread(target=steps.for_ever, daemon=True).start()
steps.for_ever()
