"""What a called service's stages took is told to the caller in a standard header."""

from __future__ import annotations

import time
from typing import Any

import pytest

import tradespan
from tradespan import journey
from tradespan.export.timing import HEADER, StageTiming, note_remote


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The monotonic clock, standing still until told otherwise."""

    class Clock:
        now = 10**12

        def tick(self, milliseconds: float) -> None:
            self.now += int(milliseconds * 1_000_000)

    found = Clock()
    monkeypatch.setattr(time, "perf_counter_ns", lambda: found.now)
    return found


class Dict:
    """Sets headers of a plain dict."""

    def set(self, carrier: dict[str, str], key: str, value: str) -> None:
        carrier[key] = value


def answer(**carrier: str) -> dict[str, str]:
    """Headers of an answer given here and now."""
    StageTiming().inject(carrier, setter=Dict())
    return carrier


def request() -> dict[str, str]:
    """Headers of a request inside a journey."""
    with tradespan.signal():
        return dict(tradespan.inject({}))


def test_no_journey_no_header(telemetry: Any) -> None:
    """A request without a journey is answered without a word."""
    with tradespan.stage("x"):
        pass
    assert answer() == {}
    with tradespan.extract({}):
        assert answer() == {}


def test_no_stage_no_header(telemetry: Any) -> None:
    """A service that had no stage in this request says nothing."""
    with tradespan.extract(request()):
        assert answer() == {}


def test_the_answer_tells_how_long_the_journey_was_held(telemetry: Any, clock: Any) -> None:
    """The union of the stages of this request, in milliseconds, with the wait before them."""
    with tradespan.extract(request()):
        with tradespan.validation() as v:
            clock.tick(30)
        with tradespan.risk():
            clock.tick(12.5)
        found = answer()[HEADER]
    assert v.wait is not None
    told = float(found.removeprefix("tradespan;dur="))
    assert told == pytest.approx(42.5 + v.wait * 1000, abs=0.01)


def test_only_the_head_of_an_asgi_response(telemetry: Any) -> None:
    """Body messages of an ASGI response have no headers to write to."""
    with tradespan.extract(request()):
        with tradespan.risk():
            pass
        assert HEADER not in answer(type="http.response.body")
        assert HEADER in answer(type="http.response.start")


@pytest.mark.parametrize(
    ("values", "milliseconds"),
    [
        ([], 0),
        (["tradespan;dur=30.000"], 30),
        (["tradespan;dur=30"], 30),
        (["db;dur=1, tradespan;dur=30, cache;dur=2"], 30),
        (["db;dur=1", "tradespan;dur=30"], 30),
        (["tradespan;dur=999999999"], 100),
        (["tradespan;dur=-5"], 0),
        (["tradespan;dur=nan"], 0),
        (["tradespan;dur=1e9"], 1),
        (["tradespan;dur="], 0),
        (["other;dur=30"], 0),
        (["\x00\xff"], 0),
        (["tradespan;dur=" + "9" * 5000], 100),
    ],
)
def test_the_caller_leaves_it_out_of_its_work(
    telemetry: Any, clock: Any, values: list[str], milliseconds: float
) -> None:
    """Whatever the answer says, it is at most the time of the call, and never negative."""
    with tradespan.orchestration():
        clock.tick(10)
        began = clock.now
        clock.tick(100)
        note_remote(values, began)
    (point,) = telemetry.metric("trading.stage.duration")
    assert point.sum == pytest.approx((110 - milliseconds) / 1000)


def test_outside_a_stage_nothing_is_noted(telemetry: Any) -> None:
    """An answer that nobody waits for in a stage is ignored."""
    note_remote(["tradespan;dur=30"], 0)
    assert journey.current_ledger() is None
