"""What was seen is remembered, within bounds."""

from __future__ import annotations

import os
import threading

import pytest

from tradespan.memory import Memory


def test_it_counts() -> None:
    """Each key has its own count, from 1."""
    memory = Memory()
    assert [memory.count("a"), memory.count("a"), memory.count(("b", 1))] == [1, 2, 1]


def test_it_is_bounded() -> None:
    """No more keys than its size are remembered."""
    memory = Memory(size=100)
    for n in range(1000):
        memory.count(n)
    assert len(memory._seen) == 100
    assert memory.count(999) == 2
    assert memory.count(0) == 1


def test_the_latest_are_remembered() -> None:
    """What is seen again stays; what was not seen for longest is forgotten first."""
    memory = Memory(size=2)
    for key in "abac":
        memory.count(key)
    assert memory.count("a") == 3
    assert memory.count("b") == 1


def test_threads_lose_no_count() -> None:
    """Counts of many threads add up."""
    memory = Memory()

    def work() -> None:
        for _ in range(1000):
            memory.count("a")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert memory.count("a") == 4001


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
def test_a_forked_child_finds_no_lock_held() -> None:
    """Another thread may have been counting; the child begins anew."""
    memory = Memory()
    memory.count("a")
    with memory._lock:
        child = os.fork()
        if not child:
            os._exit(memory.count("a"))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
