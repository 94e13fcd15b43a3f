"""What a called service's stages took, told to the calling stage in a standard response header.

Work is exclusive of nested stages, also of those in another service: the answer says how long they
held the journey (`Server-Timing: tradespan;dur=MS`), and the caller's stage leaves it out.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable

from opentelemetry.context import Context
from opentelemetry.instrumentation.propagators import ResponsePropagator, default_setter
from opentelemetry.propagators.textmap import CarrierT, Setter

from tradespan import journey as journeys
from tradespan.guard import guard

HEADER = "server-timing"
HEAD = "http.response.start"
_OURS = re.compile(r"\btradespan;dur=(\d{1,9}(?:\.\d{1,6})?)")
_ANSWER = guard("timing.answer")


class StageTiming(ResponsePropagator):
    """Writes the header, where the request brought a journey and a stage has ended in it."""

    def inject(
        self,
        carrier: CarrierT,
        context: Context | None = None,  # noqa: ARG002 - holds the server span alone
        setter: Setter[CarrierT] = default_setter,  # type: ignore[assignment]
    ) -> None:
        """Tell how long the journey was held here."""
        with _ANSWER:
            if isinstance(carrier, dict) and carrier.get("type", HEAD) != HEAD:
                return  # of an ASGI response only the head has headers
            hop = journeys.current_hop()
            if hop is not None and hop.busy and journeys.current_journey() is not None:
                milliseconds = journeys.spent(hop.busy) / 1e6
                setter.set(carrier, HEADER, f"tradespan;dur={milliseconds:.3f}")


def note_remote(values: Iterable[str], began_ns: int) -> None:
    """Note in the calling stage what the called ones took, at most the time of the call.

    Arguments:
        values: of the response's header.
        began_ns: monotonic clock at which the call began.
    """
    ledger = journeys.current_ledger()
    if ledger is None:
        return
    now_ns = time.perf_counter_ns()
    for value in values:
        for milliseconds in _OURS.findall(value):
            start = max(began_ns, now_ns - int(float(milliseconds) * 1e6))
            ledger.append((start, now_ns))
