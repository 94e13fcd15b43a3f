"""Kill switch, constitution and drawdown, as they are exported."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tradespan.recorders import safety


def test_the_kill_switch(telemetry: Any) -> None:
    """1 when trading is halted, 0 when not, and nothing before anybody said."""
    safety.open()
    assert telemetry.last("kill_switch_status") is None
    safety.kill_switch(True)
    assert telemetry.last("kill_switch_status") == 1
    safety.kill_switch(False)
    assert telemetry.last("kill_switch_status") == 0


@pytest.mark.parametrize(
    ("told", "shown"),
    [("off", 0), ("0", 0), (b"0", 0), (" False ", 0), ("no", 0), ("on", 1), (b"1", 1), ("TRUE", 1)],
)
def test_the_kill_switch_by_a_word(telemetry: Any, told: Any, shown: int) -> None:
    """As Redis and the environment have it."""
    safety.kill_switch(not shown)
    safety.kill_switch(told)
    assert telemetry.last("kill_switch_status") == shown


def test_a_word_that_is_neither_leaves_the_kill_switch(telemetry: Any) -> None:
    """And is counted; None is not told at all."""
    safety.kill_switch(True)
    for told in ("", "maybe", None):
        safety.kill_switch(told)  # type: ignore[arg-type]
    assert telemetry.last("kill_switch_status") == 1
    assert telemetry.last("tradespan.telemetry.failures", site="recorders.safety") == 2


@pytest.mark.parametrize(("passed", "results"), [(None, []), ("fail", []), ("false", ["fail"])])
def test_a_check_nobody_knows_the_result_of(telemetry: Any, passed: Any, results: Any) -> None:
    """It is neither kept nor violated."""
    safety.check("r", passed)
    found = [p.labels["result"] for p in telemetry.metric("constitution_checks") if p.value]
    assert found == results
    assert telemetry.total("constitution_violations") == len(results)


def test_checks_and_violations(telemetry: Any) -> None:
    """A check that did not pass is a violation too; one that passed lets it begin at 0."""
    safety.check("max_position_size", passed=True)
    assert [p.value for p in telemetry.metric("constitution_violations")] == [0]
    safety.check("max_position_size", passed=False)
    rule = {"rule_name": "max_position_size"}
    assert telemetry.total("constitution_checks", result="pass", **rule) == 1
    assert telemetry.total("constitution_checks", result="fail", **rule) == 1
    assert telemetry.total("constitution_violations", **rule) == 1


@pytest.mark.parametrize(
    ("told", "shown"), [(-8.0, -8.0), (8.0, -8.0), (0, 0.0), (Decimal("8.5"), -8.5), ("8", -8.0)]
)
def test_a_drawdown_is_never_positive(telemetry: Any, told: Any, shown: float) -> None:
    """With or without its sign, it is a fall; None leaves it."""
    safety.drawdown(told)
    safety.drawdown(None)
    assert telemetry.last("max_drawdown_pct") == shown


def test_the_drawdown_is_found_from_the_equity(telemetry: Any) -> None:
    """The largest fall from the peak so far; what is no number is passed over."""
    drawdown = safety.Drawdown()
    found = [drawdown.update(e) for e in (100, 120, 90, float("nan"), 130, 125, float("inf"))]
    assert found == [0.0, 0.0, -25.0, -25.0, -25.0, -25.0, -25.0]
    assert telemetry.last("max_drawdown_pct") == -25.0


def test_no_equity_gives_no_drawdown(telemetry: Any) -> None:
    """An account that was never worth anything has not fallen."""
    assert safety.Drawdown().update(0) == 0.0
    assert safety.Drawdown().update(-5) == 0.0
    assert telemetry.last("max_drawdown_pct") == 0.0


def test_rules_that_are_named_stand_at_zero(telemetry: Any) -> None:
    """Both results of each."""
    safety.open(rules=["a", "b"])
    found = {
        (p.labels["rule_name"], p.labels["result"]): p.value
        for p in telemetry.metric("constitution_checks")
    }
    assert found == {(r, w): 0 for r in ("a", "b") for w in ("pass", "fail")}
