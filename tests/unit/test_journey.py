"""A journey's ids, origin and mode, in the context and in baggage."""

from __future__ import annotations

import threading
import time
from dataclasses import FrozenInstanceError
from typing import Any

import pytest
from opentelemetry import baggage
from opentelemetry.context import Context

from tradespan import journey
from tradespan import settings as setting
from tradespan.journey import Hop, Journey
from tradespan.settings import Settings

NOW = time.time_ns()


def test_begin_takes_mode_and_pipeline_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new journey is of this process's mode and pipeline, and begins now."""
    monkeypatch.setattr(setting, "current", Settings(mode="paper", pipeline="crypto"))
    before = time.time_ns()
    found = journey.begin()
    assert (found.mode, found.pipeline, found.trigger) == ("paper", "crypto", "signal")
    assert before <= found.origin_ns <= time.time_ns()
    assert journey.begin(origin_ns=NOW).origin_ns == NOW


def test_ids_of_ours_are_distinct() -> None:
    """Ids that we make are 16 hexadecimal digits, each another, whatever random.seed() says."""
    ids = {journey.begin().signal_id for _ in range(1000)}
    assert len(ids) == 1000
    assert all(len(i) == 16 and int(i, 16) >= 0 for i in ids)


@pytest.mark.parametrize("own", ["sig-1", "x" * 64, "a,b;c=d", "42", '"%\\'])
def test_the_services_own_id_is_kept(own: str) -> None:
    """Any 1 to 64 printable ASCII characters are an id, and travel through baggage."""
    assert journey.begin(own).signal_id == own
    assert journey.read(journey.with_journey(journey.begin(own), Context())) is not None


def test_a_journey_is_frozen() -> None:
    """Nobody changes a journey that goes on."""
    with pytest.raises(FrozenInstanceError):
        journey.begin().signal_id = "x"  # type: ignore[misc]


@pytest.mark.parametrize("trigger", ["signal", "manual", "broken"])
def test_with_journey_and_read(trigger: str) -> None:
    """What is put into a context's baggage is read from it again."""
    one = Journey("sig-1", NOW, "replay", "crypto", trigger)
    ctx = journey.with_journey(one, Context())
    assert journey.current_journey(ctx) is one
    assert journey.read(ctx) == one


def test_a_signals_journey_takes_over_another_ones_baggage() -> None:
    """The trigger of a manual journey does not stay in a signal's baggage."""
    ctx = journey.with_journey(Journey("a", NOW, "live", "p", "manual"), Context())
    ctx = journey.with_journey(Journey("b", NOW, "live", "p"), ctx)
    assert "trading.trigger" not in baggage.get_all(ctx)
    assert journey.read(ctx) == Journey("b", NOW, "live", "p")


def test_read_without_a_journey() -> None:
    """A context without our baggage has no journey."""
    assert journey.read(Context()) is None
    assert journey.read(baggage.set_baggage("tenant", "x", Context())) is None
    assert journey.current_journey(Context()) is None
    assert journey.current_hop(Context()) is None
    assert journey.current_ledger(Context()) is None


@pytest.mark.parametrize("missing", ["trading.signal.id", "trading.origin"])
def test_half_a_journey_is_none(missing: str) -> None:
    """Id without origin, or origin without id, is an error, not half a journey."""
    ctx = baggage.remove_baggage(missing, journey.with_journey(journey.begin(), Context()))
    with pytest.raises(ValueError):
        journey.read(ctx)


def test_a_peer_may_leave_mode_and_pipeline_out() -> None:
    """A peer in another language that sends id and origin only takes part."""
    ctx = baggage.set_baggage("trading.signal.id", "x", Context())
    ctx = baggage.set_baggage("trading.origin", str(NOW), ctx)
    assert journey.read(ctx) == Journey("x", NOW, "live", "default")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "-1",
        "+1",
        "1.5",
        "1e18",
        " 1",
        "0",
        "1",
        "²",
        "٣",
        "1" * 21,
        "0" * 9 + "1700000000000000000",
        "9" * 20,
        "0x1",
    ],
)
def test_wall_clock_refuses(text: str) -> None:
    """What is no wall clock in ns of our time is refused."""
    with pytest.raises(ValueError):
        journey.wall_clock(text)


def test_wall_clock_bounds() -> None:
    """Now and a clock somewhat ahead are taken, more than a day ahead is not."""
    assert journey.wall_clock(str(NOW)) == NOW
    assert journey.wall_clock(str(NOW + 3600 * 10**9)) > NOW
    with pytest.raises(ValueError):
        journey.wall_clock(str(NOW + 2 * 86_400 * 10**9))


def test_a_hop_is_taken_once_by_many_threads() -> None:
    """Of stages that begin at once only one takes the hand-off's wait."""
    for _ in range(20):
        hop, taken = Hop(), []
        barrier = threading.Barrier(4)

        def take(hop: Hop = hop, taken: list[bool] = taken, at: Any = barrier) -> None:
            at.wait()
            taken.append(hop.take())

        threads = [threading.Thread(target=take) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(taken) == [False, False, False, True]


@pytest.mark.parametrize(
    ("ledger", "nanoseconds"),
    [
        ([], 0),
        ([(0, 10)], 10),
        ([(0, 10), (20, 30)], 20),
        ([(0, 10), (5, 15)], 15),
        ([(5, 15), (0, 10)], 15),
        ([(0, 100), (10, 20), (30, 40)], 100),
        ([(0, 10), (0, 10)], 10),
        ([(10, 10)], 0),
        ([(10, 5)], 0),
        ([(-20, -10), (0, 5)], 15),
    ],
)
def test_spent_is_the_union(ledger: Any, nanoseconds: int) -> None:
    """Overlaps count once, whatever their order."""
    assert journey.spent(ledger) == nanoseconds


def test_the_ledger_of_a_hop_is_current() -> None:
    """Stages of a hop note in the hop's ledger, unless a stage's own stands before it."""
    hop = Hop()
    ctx = journey.with_hop(hop, Context())
    assert journey.current_hop(ctx) is hop
    assert journey.current_ledger(ctx) is hop.busy
    own: journey.Ledger = []
    assert journey.current_ledger(journey.with_ledger(own, ctx)) is own
    assert journey.current_ledger(journey.with_hop(None, ctx)) is None
