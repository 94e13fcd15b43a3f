"""What stands around each call of a mapped function: a stage, a timed call, a value, a count."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Self

from tradespan.decorate import Managed
from tradespan.guard import guard
from tradespan.mapping import reading
from tradespan.mapping.config import Count, Value
from tradespan.mapping.paths import Call, Path, Signature
from tradespan.mapping.record import Entry
from tradespan.mapping.rules import Rule
from tradespan.semconv.metrics import VALUES
from tradespan.stages import calls
from tradespan.stages.stage import current_stage

_BEGIN, _RETURNED, _END = guard("mapping.begin"), guard("mapping.returned"), guard("mapping.end")


class Around:
    """What is the same for every call of one function.

    Arguments:
        place: in the file, for messages.
        entry: counts how often it fired.
        signature: the function's parameters.
        bound: whether its first argument is the instance or class.
    """

    def __init__(
        self, place: str, entry: Entry, signature: Signature | None = None, bound: bool = False
    ) -> None:
        self.place, self.entry, self.bound = place, entry, bound
        self.signature = signature or Signature()

    def call(self, args: tuple[Any, ...], kwargs: Mapping[str, Any] | None) -> Call:
        """The call, counted."""
        self.entry.fired += 1
        return Call(self.signature, args, kwargs or {}, self.bound)


class Block(Managed):
    """Begins nothing; what it is for happens when the call returned.

    Arguments:
        around: what is the same for every call.
    """

    call: Call

    def __init__(self, around: Around) -> None:
        self.around = around

    def fresh(self, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None) -> Self:
        """One for a single call."""
        one = super().fresh(args, kwargs)
        one.call = self.around.call(args, kwargs)
        return one

    def returned(self, value: Any) -> None:
        """See the result."""
        self.call.result = value


class ValueBlock(Block):
    """Sets a gauge after the call."""

    def __init__(self, around: Around, name: Any, value: Value) -> None:
        super().__init__(around)
        self._name, self._value = name, value

    def returned(self, value: Any) -> None:
        """Set it."""
        with _RETURNED:
            self.call.result = value
            found = reading.number(self._value.set.read(self.call), self.around.place)
            if found is not None:
                calls.value(self._name, found)

    def end(self, error: BaseException | None = None) -> None:
        """A status is 0 where its function fails; of any other gauge nothing is known then."""
        with _END:
            if isinstance(error, Exception) and VALUES[self._name].unit == "{status}":
                calls.value(self._name, 0)


class CountBlock(Block):
    """Counts a call after which a rule holds, or an exception that is made."""

    def __init__(self, around: Around, name: Any, count: Count) -> None:
        super().__init__(around)
        self._name, self._count = name, count

    def end(self, error: BaseException | None = None) -> None:
        """Ask the rules, and count."""
        with _END:
            self.call.error = error
            rules: list[Rule] = self._count.when
            if rules and not any(rule.holds(self.call, self.around.place) for rule in rules):
                return
            stage = current_stage()
            labels = {"symbol": str(stage.values.get("symbol", ""))} if stage else {}
            labels |= reading.read(self._count.set, {}, self.call, self.around.place)
            calls.count(self._name, 1, **labels)


class CallBlock(Block):
    """Times the call."""

    def __init__(self, around: Around, timed: calls.Call) -> None:
        super().__init__(around)
        self._timed = timed

    def __enter__(self) -> Self:
        with _BEGIN:
            self._timed = self._timed.fresh().__enter__()
        return self

    def end(self, error: BaseException | None = None) -> None:
        """Record the time."""
        self._timed.end(error)


class SendBlock(Block):
    """Hands the journey on under a key after the call."""

    def __init__(self, around: Around, key: Path, send: Callable[[Any], None]) -> None:
        super().__init__(around)
        self._key, self._send = key, send

    def returned(self, value: Any) -> None:
        """Send it."""
        with _RETURNED:
            self.call.result = value
            place = f"{self.around.place}: {self._key.text}"
            key = self._key.read(self.call)
            if reading.scalar(key, place) is not None:
                self._send(key)  # as it is, because the receiver asks for it so
