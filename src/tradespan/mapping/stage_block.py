"""The block that makes a call of the service a stage, as the file says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol, Self

from tradespan.guard import guard
from tradespan.mapping import reading
from tradespan.mapping.blocks import Around, Block
from tradespan.mapping.config import Stage as StageConfig
from tradespan.stages.stage import NO_CARRIER, Stage

_BEGIN, _END = guard("mapping.begin"), guard("mapping.end")


class Late(Protocol):
    """What may still bring a carrier."""

    def take(self) -> Any:
        """The carrier that has come by now, or None; never waits."""


class Received(Protocol):
    """Finds what a hand-off brought, for a key, an entry or a message."""

    def receive(self, value: Any) -> Any:
        """The carrier, or None."""

    async def areceive(self, value: Any) -> Any:
        """The carrier, or None, without blocking a loop."""

    def late(self, value: Any) -> Late | None:
        """What may bring a carrier after the stage has begun."""


class StageBlock(Block):
    """The call is a stage.

    Arguments:
        around: what is the same for every call.
        name: of the stage.
        config: what the file says of it.
        received: how each hand-off is received, by name.
    """

    stage: Stage | None = None
    _late: Sequence[Late] = ()

    def __init__(
        self, around: Around, name: str, config: StageConfig, received: Mapping[str, Received]
    ) -> None:
        super().__init__(around)
        self.name, self.config, self.received = name, config, received

    def __enter__(self) -> Self:
        with _BEGIN:
            self._begin([one.receive(value) for one, value in self._keys()])
        return self

    async def __aenter__(self) -> Self:
        with _BEGIN:
            self._begin([await one.areceive(value) for one, value in self._keys()])
        return self

    def returned(self, value: Any) -> None:
        """See the result; what it says of the stage counts at its end."""
        self.call.result = value

    def end(self, error: BaseException | None = None) -> None:
        """End the stage as the rules say, or as the exception does."""
        stage = self.stage
        if stage is None:
            return
        said = False
        with _END:
            self.call.error = error
            stage.set(**self._values(before=False))
            self._link(stage)
            if error is None or isinstance(error, Exception):
                said = self._say_outcome(stage)
        stage.end(None if said else error)

    def pause(self) -> None:
        """Leave the context between two steps of a generator."""
        if self.stage is not None:
            self.stage.pause()

    def resume(self) -> None:
        """Come back into it."""
        if self.stage is not None:
            self.stage.resume()

    def _begin(self, found: list[Any]) -> None:
        carrier = next((c for c in found if c is not None), {} if found else NO_CARRIER)
        if not carrier and found:
            late = [one.late(value) for one, value in self._keys()]
            self._late = [one for one in late if one is not None]
        values = self._values(before=True)
        attempt = reading.whole(values.pop("attempt", None))
        stage = Stage(self.name, carrier=carrier, attempt=attempt, ends=self.config.ends, **values)
        if self.config.begins is not None:
            stage.definition = replace(stage.definition, begins=True)
            path, unit = self.config.begins.event_time, self.config.begins.unit
            if path is not None:
                place = f"{self.around.place}.begins.event_time"
                stage.set(event_time=reading.event_time(path.read(self.call), unit, place))
        self.stage = stage.__enter__()

    def _keys(self) -> list[tuple[Received, Any]]:
        return [
            (self.received[name], path.read(self.call))
            for name, path in self.config.receive.items()
        ]

    def _values(self, before: bool) -> dict[str, Any]:
        wanted = {n: p for n, p in self.config.set.items() if p.before is before}
        return reading.read(wanted, self.config.map, self.call, f"{self.around.place}.set")

    def _say_outcome(self, stage: Stage) -> bool:
        """Whether a rule holds, and has said how the stage ends."""
        if any(rule.holds(self.call, f"{self.around.place}.retry") for rule in self.config.retry):
            stage.retry(_reason(stage))
            return True
        for outcome, rules in self.config.outcome.items():
            if any(rule.holds(self.call, f"{self.around.place}.outcome") for rule in rules):
                words = {k: v for k, v in stage.values.items() if k in stage.definition.labels}
                stage.end_as(outcome, _reason(stage)).set(**words)
                return True
        return False

    def _link(self, stage: Stage) -> None:
        """A key that came later than its row becomes a link to the journey that it tells of."""
        for late in self._late:
            carrier = late.take()
            if carrier is not None:
                stage.link(carrier)


def _reason(stage: Stage) -> str | None:
    reason = stage.values.get("reason")
    return None if reason is None else str(reason)
