"""A flat script whose work is done in spawned processes."""

from __future__ import annotations

import multiprocessing
import os

import desk


def work(number: int) -> tuple[int, int]:
    """What each process does."""
    desk.plain("A")
    return os.getpid(), number * number


def main() -> None:
    context = multiprocessing.get_context("spawn")
    with context.Pool(2) as pool:
        found = pool.map(work, range(8), chunksize=1)
        pool.close()
        pool.join()
    assert os.getpid() not in {pid for pid, _ in found}
    print([result for _, result in found])


if __name__ == "__main__":
    main()
