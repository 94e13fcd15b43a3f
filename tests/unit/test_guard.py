"""Telemetry never hurts its host: failures of ours are kept, counted, and said once."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import Any

import pytest

from tradespan import guard


@pytest.fixture(autouse=True)
def _lenient(monkeypatch: pytest.MonkeyPatch) -> Any:
    """As in a service."""
    monkeypatch.setattr(guard, "strict", False)
    guard.failures.clear()
    yield
    guard.failures.clear()


def fail(site: str, error: BaseException) -> None:
    """A failure inside a guarded block."""
    with guard.guard(site):
        raise error


def test_a_failure_is_kept_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    """The block is left quietly; the first failure of a site is logged, later ones counted."""
    for _ in range(5):
        fail("a", ValueError("x"))
    fail("b", KeyError("y"))
    assert guard.failures == {"a": 5, "b": 1}
    texts = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert len(texts) == 2
    assert "a" in texts[0]
    assert "ValueError: x" in texts[0]


def test_a_block_without_failure_counts_nothing() -> None:
    """Nothing happens where nothing fails."""
    with guard.guard("a"):
        pass
    assert not guard.failures


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), SystemExit(1), asyncio.CancelledError(), GeneratorExit()]
)
def test_what_is_no_failure_of_ours_goes_on(error: BaseException) -> None:
    """Interrupts, exits and cancellations are the service's own business."""
    with pytest.raises(type(error)) as caught:
        fail("a", error)
    assert caught.value is error
    assert not guard.failures


def test_strict_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    """In our own tests a failure is raised, so that none hides."""
    monkeypatch.setattr(guard, "strict", True)
    with pytest.raises(ValueError):
        fail("a", ValueError())
    assert not guard.failures


def test_one_object_serves_threads_and_nesting() -> None:
    """A guard holds no state: nested and concurrent blocks of one object do not mix."""
    one = guard.guard("a")

    def work() -> None:
        for _ in range(200):
            with one, one:
                raise ValueError

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert guard.failures["a"] > 0
    assert not hasattr(one, "__dict__")


def test_debug_shows_the_traceback(caplog: pytest.LogCaptureFixture) -> None:
    """A traceback is shown to those who ask for debug only."""
    fail("a", ValueError("x"))
    with caplog.at_level(logging.DEBUG, logger="tradespan"):
        fail("b", ValueError("x"))
    assert [bool(r.exc_info) for r in caplog.records] == [False, True]


def test_an_error_without_a_text(capsys: pytest.CaptureFixture[str]) -> None:
    """An exception whose own text fails is still kept and counted, and prints no traceback."""

    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text")

    fail("a", Mute())
    assert guard.failures == {"a": 1}
