"""One signal's way: its ids, origin and mode, in the context and in baggage."""

from __future__ import annotations

import re
import secrets
import threading
import time
from dataclasses import dataclass, field
from typing import Final, cast

from opentelemetry import baggage, context
from opentelemetry.context import Context

from tradespan import settings as setting
from tradespan.semconv import attributes as names

_JOURNEY: Final = context.create_key("tradespan-journey")
_HOP: Final = context.create_key("tradespan-hop")
_LEDGER: Final = context.create_key("tradespan-ledger")
_ID = re.compile(r"^[\x21-\x7e]{1,64}\Z")
_EARLIEST_NS = 946_684_800 * 10**9  # the year 2000: anything before it is no wall clock
_AHEAD_NS = 86_400 * 10**9


@dataclass(frozen=True, slots=True)
class Journey:
    """The way of one signal.

    Attributes:
        signal_id: at most 64 printable characters.
        origin_ns: wall clock, ns since the epoch, at which the signal stage began.
        mode: run mode of the process in which it began.
        pipeline: name of its pipeline.
        trigger: `signal`, `manual` (no signal before it) or `broken` (its hand-off was unreadable);
            only `signal` counts in signal-to-fill.
    """

    signal_id: str
    origin_ns: int
    mode: str
    pipeline: str
    trigger: str = "signal"

    def entries(self) -> dict[str, str]:
        """Its baggage entries, which are also the attributes of its spans and log records."""
        found = {
            names.TRADING_SIGNAL_ID: self.signal_id,
            names.TRADING_ORIGIN: str(self.origin_ns),
            names.TRADING_MODE: self.mode,
            names.TRADING_PIPELINE: self.pipeline,
        }
        if self.trigger != "signal":
            found[names.TRADING_TRIGGER] = self.trigger
        return found


Ledger = list[tuple[int, int]]
"""What was spent inside others, as (start, end) in ns of the monotonic clock."""


@dataclass(slots=True)
class Hop:
    """One hand-off as it arrived: a cell that the first stage of the hop empties.

    Attributes:
        sent_ns: wall clock, ns since the epoch, of the hand-off; None when unknown.
        problem: why it is unknown (`missing`, `malformed`, `foreign`).
        broken: why the journey itself could not be read, else None.
        stamp: the hand-off's own identity, to recognise a redelivery.
        taken: whether a stage has consumed it.
        busy: what the stages of this hop took, their wait included.
    """

    sent_ns: int | None = None
    problem: str | None = None
    broken: str | None = None
    stamp: str | None = None
    taken: bool = False
    busy: Ledger = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self) -> bool:
        """True for the first stage that asks, False for every other."""
        with self._lock:
            first, self.taken = not self.taken, True
        return first


def current_journey(ctx: Context | None = None) -> Journey | None:
    """The journey that is going on here, or None."""
    return cast("Journey | None", context.get_value(_JOURNEY, ctx))


def current_hop(ctx: Context | None = None) -> Hop | None:
    """The hand-off by which the journey came here, or None."""
    return cast("Hop | None", context.get_value(_HOP, ctx))


def begin(signal_id: str | None = None, trigger: str = "signal", origin_ns: int = 0) -> Journey:
    """A new journey of this process's mode and pipeline.

    Arguments:
        signal_id: the service's own id; one is made when it is missing or cannot travel.
        trigger: `signal`, `manual` or `broken`.
        origin_ns: wall clock, ns since the epoch; now when 0.
    """
    known = str(signal_id) if signal_id is not None and _ID.match(str(signal_id)) else None
    return Journey(
        signal_id=known or secrets.token_hex(8),
        origin_ns=origin_ns or time.time_ns(),
        mode=setting.current.mode,
        pipeline=setting.current.pipeline,
        trigger=trigger,
    )


def with_journey(journey: Journey, ctx: Context | None = None) -> Context:
    """The context with this journey in it and in its baggage."""
    ctx = context.set_value(_JOURNEY, journey, ctx)
    if journey.trigger == "signal":
        ctx = baggage.remove_baggage(names.TRADING_TRIGGER, ctx)
    for key, value in journey.entries().items():
        ctx = baggage.set_baggage(key, value, ctx)
    return ctx


def with_hop(hop: Hop | None, ctx: Context) -> Context:
    """The context with this hand-off in it; what its stages take is noted there."""
    return with_ledger(hop.busy if hop else None, context.set_value(_HOP, hop, ctx))


def with_ledger(ledger: Ledger | None, ctx: Context) -> Context:
    """The context in which stages note in this ledger what they took."""
    return context.set_value(_LEDGER, ledger, ctx)


def current_ledger(ctx: Context | None = None) -> Ledger | None:
    """The ledger of the stage, or else of the hop, that all here is inside of."""
    return cast("Ledger | None", context.get_value(_LEDGER, ctx))


def spent(ledger: Ledger) -> int:
    """Nanoseconds that a ledger covers; what overlaps counts once."""
    total, reached = 0, min((start for start, _ in ledger), default=0)
    for start, end in sorted(ledger):
        total += max(0, end - max(start, reached))
        reached = max(reached, end)
    return total


def read(ctx: Context) -> Journey | None:
    """The journey that the context's baggage tells of, or None where there is none.

    Raises:
        ValueError: baggage has a journey, but it is not one that we or a peer can have written.
    """
    entries = baggage.get_all(ctx)
    signal_id = entries.get(names.TRADING_SIGNAL_ID)
    origin = entries.get(names.TRADING_ORIGIN)
    if signal_id is None and origin is None:
        return None
    mode = str(entries.get(names.TRADING_MODE, "live"))
    pipeline = str(entries.get(names.TRADING_PIPELINE, "default"))
    trigger = str(entries.get(names.TRADING_TRIGGER, "signal"))
    if not _ID.match(str(signal_id or "")):
        raise ValueError(names.TRADING_SIGNAL_ID)
    if mode not in names.ENUMS[names.TRADING_MODE] or not _ID.match(pipeline):
        raise ValueError(names.TRADING_MODE)
    if trigger not in names.ENUMS[names.TRADING_TRIGGER]:
        raise ValueError(names.TRADING_TRIGGER)
    return Journey(str(signal_id), wall_clock(str(origin or "")), mode, pipeline, trigger)


def wall_clock(text: str) -> int:
    """A wall clock in ns since the epoch, as it stands in baggage.

    Raises:
        ValueError: not a number, before the year 2000, or more than a day ahead.
    """
    if not text.isascii() or not text.isdigit() or len(text) > 20:
        raise ValueError(text[:32])
    value = int(text)
    if not _EARLIEST_NS < value < time.time_ns() + _AHEAD_NS:
        raise ValueError(text)
    return value
