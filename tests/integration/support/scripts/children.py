"""Children by multiprocessing; the parent waits for them, or ends them itself."""

import multiprocessing
import os
import sys
import time
from pathlib import Path

import steps


def some() -> None:
    for _ in range(20):
        steps.once("child")


if __name__ == "__main__":
    how, end = sys.argv[1:]
    context = multiprocessing.get_context(how)
    steps.once("parent")
    target = some if end == "return" else steps.for_ever
    children = [context.Process(target=target) for _ in range(2)]
    for child in children:
        child.start()
    if end == "terminate":
        while len(Path(os.environ["LEDGER"]).read_bytes().splitlines()) < 60:
            time.sleep(0.01)
        for child in children:
            child.terminate()
    for child in children:
        child.join()
    print([child.exitcode for child in children])
