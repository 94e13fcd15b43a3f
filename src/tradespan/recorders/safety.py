"""Room `safety`: the kill switch, the constitution's rules, and the drawdown."""

from __future__ import annotations

import math
from collections.abc import Iterable

from tradespan.recorders.room import Room
from tradespan.semconv import metrics

_ROOM = Room(metrics.KILL_SWITCH_STATUS.room)


def open(*, rules: Iterable[str] = ()) -> None:  # noqa: A001
    """Create the room's instruments. Never raises.

    Arguments:
        rules: of the constitution; their counters stand at 0.
    """
    _ROOM.open(rule_name=rules)


def kill_switch(active: bool | str) -> None:
    """Say whether the kill switch has halted trading. Never raises.

    Arguments:
        active: or a word for it, `on` or `off`; a text that is none leaves the gauge as it is.
    """
    _ROOM.status(metrics.KILL_SWITCH_STATUS, active)


def check(rule: str, passed: bool) -> None:
    """Count one check of a rule; one that did not pass is a violation too. Never raises.

    Arguments:
        rule: of the constitution, such as `max_position_size`.
        passed: whether it was kept; None, where nobody knows, counts nothing.
    """
    with _ROOM.guard:
        kept = _ROOM.truth(passed)
        if kept is None:
            return
        result = "pass" if kept else "fail"
        _ROOM.record(metrics.CONSTITUTION_CHECKS, 1, rule_name=rule, result=result)
        _ROOM.record(metrics.CONSTITUTION_VIOLATIONS, 0 if kept else 1, rule_name=rule)


def drawdown(percent: float | None) -> None:
    """Set the largest fall from a peak. Never raises.

    Arguments:
        percent: 8 and -8 are both a fall of 8 %; the gauge is 0 or negative. None leaves it as it
            is.
    """
    with _ROOM.guard:
        found = None if percent is None else _ROOM.number(metrics.MAX_DRAWDOWN_PCT, percent)
        if found is not None:
            _ROOM.record(metrics.MAX_DRAWDOWN_PCT, 0.0 - abs(found))


class Drawdown:
    """The largest fall from a peak, found from the equity as it comes; one for each period."""

    def __init__(self) -> None:
        self._peak = 0.0
        self.percent = 0.0

    def update(self, equity: float) -> float:
        """Set the gauge from the equity of this moment. Never raises.

        Arguments:
            equity: value of the account; what is no finite number is passed over.

        Returns:
            The largest fall so far in percent, 0 or negative.
        """
        with _ROOM.guard:
            equity = float(equity)
            if math.isfinite(equity):
                self._peak = max(self._peak, equity)
                if self._peak > 0:
                    self.percent = min(self.percent, (equity / self._peak - 1) * 100)
                drawdown(self.percent)
        return self.percent
