"""Names of a script, found while its module body runs, and a trace that comes to its end."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from tradespan.mapping import late


class Script:
    """Runs a text as the script would be, with these names to be found.

    Attributes:
        found: names that came up, in order.
        lost: those that did not.
    """

    def __init__(self, source: str, *names: str, **known: Any) -> None:
        self.found: list[str] = []
        self.lost: set[str] = set()
        body = compile(source, "script.py", "exec")
        watch = late.Definitions(
            set(names),
            lambda name, _: self.found.append(name),
            lambda names: self.lost.update(names),
        )
        watch.watch()
        try:
            exec(body, {"__name__": "__main__", **known})
        finally:
            sys.settrace(None)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A clock that only `tick` moves on."""
    now = [0.0]
    monkeypatch.setattr(late, "time", SimpleNamespace(monotonic=lambda: now[0]))

    def tick(seconds: float) -> None:
        now[0] += seconds

    return tick


def test_a_name_is_found_before_the_next_line(clock: Any) -> None:
    """Then nothing is traced any more."""
    seen: list[Any] = []
    script = Script(
        "def work(): ...\nsee(gettrace())", "work", see=seen.append, gettrace=sys.gettrace
    )
    assert script.found == ["work"]
    assert seen == [None]


LOOP = """
for _ in range(100):
    tick(1.0)
    traces.append(gettrace())
"""


def test_a_loop_of_the_script_ends_the_trace_although_a_name_is_missing(clock: Any) -> None:
    """Its lines come again and again: after five seconds without a new one, no name is awaited."""
    traces: list[Any] = []
    script = Script(LOOP, "typo", tick=clock, traces=traces, gettrace=sys.gettrace)
    assert script.lost == {"typo"}
    assert len([trace for trace in traces if trace is not None]) < 10
    assert traces[-1] is None


def test_a_slow_script_is_waited_for_as_long_as_it_comes_to_new_lines(clock: Any) -> None:
    """Four seconds a line."""
    source = "tick(4)\ntick(4)\ntick(4)\nwork = 1\nother()\n"
    script = Script(source, "work", tick=clock, other=int)
    assert script.found == ["work"]
