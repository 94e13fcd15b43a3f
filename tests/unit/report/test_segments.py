"""Cutting a journey into segments."""

import random

import pytest

from tradespan.backends.protocol import Span
from tradespan.report.journeys import gather
from tradespan.report.segments import cut

MS = 1_000_000
T0 = 1_736_743_380_000_000_000
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def span(name, start, end, *, wait=None, stage=True, parent=None, ends=False, number=0, **more):
    """A span of one journey; times in ms after the origin, wait in ms."""
    attributes = {"trading.signal.id": "s1", "trading.outcome": "ok", **more}
    if stage:
        attributes["trading.stage"] = name
    if wait is not None:
        attributes["trading.wait"] = wait / 1000
    if ends:
        attributes["trading.journey.end"] = True
    return Span(
        trace_id=TRACE,
        span_id=f"{number or abs(hash((name, start, end))) % 2**60:016x}",
        parent_id=parent,
        name=name,
        kind="internal",
        service=f"{name}-service",
        start_ns=T0 + round(start * MS),
        end_ns=T0 + round(end * MS),
        attributes=attributes,
    )


def segments(*spans):
    """(start ms, end ms, stage, part) of the one journey of these spans."""
    (journey,) = gather(spans)
    found = cut(journey)
    assert_sound(journey, found)
    return [((s.start_ns - T0) / MS, (s.end_ns - T0) / MS, s.stage, s.part) for s in found]


def assert_sound(journey, found):
    """Disjoint, without a gap, within the journey, and adding up to the nanosecond."""
    at = journey.origin_ns
    for segment in found:
        assert segment.start_ns == at
        assert segment.end_ns > segment.start_ns
        at = segment.end_ns
    assert at == journey.end_ns
    assert sum(segment.duration_ns for segment in found) == journey.duration_ns


def test_stages_in_a_row_with_their_waits():
    """What no stage and no wait covers lies outside."""
    assert segments(
        span("signal", 0, 5),
        span("orchestration", 12, 20, wait=4),
        span("execution", 20, 30, wait=0, ends=True),
    ) == [
        (0, 5, "signal", "work"),
        (5, 8, "outside", "outside"),
        (8, 12, "orchestration", "wait"),
        (12, 20, "orchestration", "work"),
        (20, 30, "execution", "work"),
    ]


def test_a_wait_that_begins_inside_the_stage_before_it_takes_over():
    """The hand-off is what began last, though the stage that handed off still runs."""
    assert segments(span("signal", 0, 10), span("execution", 15, 20, wait=8, ends=True)) == [
        (0, 7, "signal", "work"),
        (7, 15, "execution", "wait"),
        (15, 20, "execution", "work"),
    ]


def test_a_stage_nested_over_http_holds_its_time_alone():
    """Work of the outer stage is exclusive; CLIENT and SERVER spans hold nothing."""
    assert segments(
        span("signal", 0, 2),
        span("orchestration", 2, 50, ends=True),
        span("POST", 10, 40, stage=False),
        span("POST /validate", 11, 39, stage=False),
        span("validation", 12, 38, wait=2),
    ) == [
        (0, 2, "signal", "work"),
        (2, 10, "orchestration", "work"),
        (10, 12, "validation", "wait"),
        (12, 38, "validation", "work"),
        (38, 50, "orchestration", "work"),
    ]


def test_parallel_stages_share_by_who_began_last():
    """No instant counts twice."""
    assert segments(
        span("orchestration", 0, 30, ends=True),
        span("validation", 5, 25),
        span("risk", 10, 15),
    ) == [
        (0, 5, "orchestration", "work"),
        (5, 10, "validation", "work"),
        (10, 15, "risk", "work"),
        (15, 25, "validation", "work"),
        (25, 30, "orchestration", "work"),
    ]


def test_a_missing_wait_leaves_its_time_outside():
    """An unknown wait is not guessed."""
    assert segments(span("signal", 0, 5), span("execution", 9, 12, ends=True)) == [
        (0, 5, "signal", "work"),
        (5, 9, "outside", "outside"),
        (9, 12, "execution", "work"),
    ]


def test_a_redelivered_stage_has_two_works_and_the_wait_between_them():
    """The second attempt waits from the first hand-off; the first attempt's work stays its own."""
    assert segments(
        span("signal", 0, 5),
        span("execution", 10, 14, wait=5),
        span("execution", 30, 33, wait=25, ends=True),
    ) == [
        (0, 5, "signal", "work"),
        (5, 10, "execution", "wait"),
        (10, 14, "execution", "work"),
        (14, 30, "execution", "wait"),
        (30, 33, "execution", "work"),
    ]


def test_a_child_that_begins_before_the_origin_is_cut_off_there():
    """A clock that is behind neither lengthens nor shifts the journey."""
    assert segments(span("signal", 0, 4), span("execution", -3, 6, wait=5, ends=True)) == [
        (0, 4, "signal", "work"),
        (4, 6, "execution", "work"),
    ]


def test_nothing_counts_after_the_end():
    """A stage that runs on after the journey's end counts up to it."""
    assert segments(
        span("signal", 0, 3),
        span("orchestration", 3, 40),
        span("execution", 10, 20, ends=True),
        span("settlement", 25, 30),
    ) == [
        (0, 3, "signal", "work"),
        (3, 10, "orchestration", "work"),
        (10, 20, "execution", "work"),
    ]


def test_a_broken_trace_is_cut_by_its_signal_id():
    """The journey goes on in another trace, without its signal span: the origin is carried."""
    other = span("execution", 20, 30, wait=5, ends=True, **{"trading.origin": str(T0)})
    assert segments(other)[0] == (0, 15, "outside", "outside")


def test_without_a_marked_end_the_last_stage_ends_it():
    """A pending journey is cut up to what is known of it."""
    assert segments(span("signal", 0, 3), span("orchestration", 3, 9))[-1][1] == 9


def test_a_journey_without_duration_has_no_segments():
    """One instant cannot be cut."""
    assert segments(span("signal", 0, 0, ends=True)) == []


@pytest.mark.parametrize("wait", [float("nan"), float("-inf"), -5.0, True, "soon"])
def test_a_wait_that_is_no_duration_is_no_wait(wait):
    """A value that cannot be a wait is left out instead of counted."""
    found = span("execution", 10, 12, ends=True, **{"trading.wait": wait})
    assert segments(span("signal", 0, 10), found) == [
        (0, 10, "signal", "work"),
        (10, 12, "execution", "work"),
    ]


def test_random_intervals_always_add_up():
    """Whatever the intervals: disjoint, gapless, within the journey, the sum exact; and each
    instant is held by what began last among those that run then."""
    dice = random.Random(20250113)
    for _ in range(300):
        spans = [span("signal", 0, dice.uniform(0, 5), number=1)]
        for number in range(dice.randrange(1, 9)):
            start = dice.uniform(-10, 100)
            spans.append(
                span(
                    dice.choice(["orchestration", "validation", "risk", "execution"]),
                    start,
                    start + dice.expovariate(1 / 20),
                    wait=dice.choice([None, 0, dice.uniform(0, 60)]),
                    ends=dice.random() < 0.2,
                    number=number + 2,
                )
            )
        (journey,) = gather(spans)
        found = cut(journey)
        assert_sound(journey, found)
        for segment in found:
            middle = (segment.start_ns + segment.end_ns) // 2
            begun = [
                (start, s.stage, part)
                for s in journey.stages
                for start, end, part in (
                    (
                        s.start_ns - round((s.attributes.get("trading.wait") or 0) * 1e9),
                        s.start_ns,
                        "wait",
                    ),
                    (s.start_ns, s.end_ns, "work"),
                )
                if start <= middle < end
            ]
            expected = max(begun, default=(0, "outside", "outside"))
            assert (segment.stage, segment.part) == expected[1:]
