"""The five stages of a trading pipeline, each with the words of its trade."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, Self

from tradespan.guard import guard
from tradespan.recorders import spending
from tradespan.recorders.prices import warm
from tradespan.recorders.usage import Usage, told
from tradespan.stages.stage import NO_CARRIER, Stage

_USAGE = guard("stage.usage")
RiskLevel = Literal["low", "medium", "high", "critical"]
Side = Literal["buy", "sell"]


class Signal(Stage):
    """The stage that begins a journey; see `signal`."""

    def confidence(self, value: float) -> Self:
        """How sure the model is, 0 to 1; a percentage is taken, and lies above every bucket."""
        return self.set(confidence=value)


class Orchestration(Stage):
    """The stage that leads a signal through the others; see `orchestration`."""

    def approve(self) -> Self:
        """The signal goes on to execution."""
        return self.end_as("ok")


class Validation(Stage):
    """The stage in which a model judges the signal; see `validation`."""

    def approve(self, confidence: float | None = None, reason: str | None = None) -> Self:
        """The model approves; confidence 0 to 1."""
        return self.end_as("ok", reason).set(confidence=confidence, decision="approved")

    def reject(self, reason: str | None = None, **values: Any) -> Self:
        """The model rejects; `confidence=` 0 to 1."""
        return super().reject(reason, decision="rejected", **values)

    def usage(self, answer: object = None, **figures: Any) -> Self:
        """What one call of the model used; several calls add up, the last model decides.

        Arguments:
            answer: of OpenAI, Anthropic, Ollama or a server that speaks like one, as an object or
                a dict. The same answer noted twice counts once. One that tells of no usage counts
                as unpriced; an error or one piece of a stream counts as nothing.
            figures: what it does not tell, or tells wrongly: `model=`, `input_tokens=`,
                `output_tokens=`, `cache_read_tokens=`, `cache_write_tokens=`, `seconds=` of work,
                `provider=`, `cost_usd=`.
        """
        with _USAGE:
            cost = figures.pop("cost_usd", None)
            figures = {k: v for k, v in figures.items() if v is not None}
            used = told(answer, **figures)
            if used is not None or cost is not None:
                spending.note(self, used or Usage(figures.get("model", "")), cost)
        return self


class Risk(Stage):
    """The stage in which the rules judge the trade; see `risk`."""

    def approve(self, score: float | None = None, level: RiskLevel | None = None) -> Self:
        """The rules approve; score 0 to 1."""
        return self.end_as("ok").set(score=score, risk_level=level, decision="approved")

    def reject(
        self,
        reason: str | None = None,
        *,
        score: float | None = None,
        level: RiskLevel | None = None,
        **values: Any,
    ) -> Self:
        """The rules reject; score 0 to 1."""
        facts = {"score": score, "risk_level": level, "decision": "rejected", **values}
        return super().reject(reason, **facts)


class Execution(Stage):
    """The stage that places the order and ends the journey; see `execution`."""

    def filled(
        self, quantity: float, price: float, order_id: str | None = None, *, partial: bool = False
    ) -> Self:
        """The order was filled.

        Arguments:
            quantity: in units of the instrument.
            price: average, in the quote currency.
            order_id: the venue's own id.
            partial: less than ordered was filled, and the rest will not be.
        """
        status = "partial" if partial else "filled"
        return self.end_as("ok").set(
            quantity=quantity, price=price, order_id=order_id, status=status
        )


def signal(
    *,
    symbol: str | None = None,
    signal_type: str | None = None,
    signal_id: str | None = None,
    event_time: datetime | float | None = None,
    **values: Any,
) -> Signal:
    """Begin a journey: something in the market becomes a signal.

    Arguments:
        symbol: instrument, a bounded metric attribute.
        signal_type: the strategy's word for it, a bounded metric attribute.
        signal_id: your own id, at most 64 printable characters; one is made otherwise.
        event_time: when the market event happened, aware datetime or seconds since the epoch.
        values: more facts, as for `Stage.set`.
    """
    return Signal(
        "signal",
        symbol=symbol,
        signal_type=signal_type,
        signal_id=signal_id,
        event_time=event_time,
        **values,
    )


def orchestration(carrier: object = NO_CARRIER, **values: Any) -> Orchestration:
    """Lead a signal through validation and risk; a rejection here ends the journey.

    Arguments:
        carrier: the queue entry that brought the signal.
        values: more facts, as for `Stage.set`; `attempt=` the delivery's number.
    """
    return Orchestration("orchestration", carrier=carrier, **values)


def validation(
    carrier: object = NO_CARRIER,
    *,
    model: str | None = None,
    symbol: str | None = None,
    **values: Any,
) -> Validation:
    """Let a model judge the signal.

    Arguments:
        carrier: what brought the signal; left out, the HTTP request did.
        model: name of the model.
        symbol: instrument.
        values: more facts, as for `Stage.set`.
    """
    warm()
    return Validation("validation", carrier=carrier, model=model, symbol=symbol, **values)


def risk(carrier: object = NO_CARRIER, **values: Any) -> Risk:
    """Let the risk rules judge the trade; arguments as for `validation`."""
    return Risk("risk", carrier=carrier, **values)


def execution(
    carrier: object = NO_CARRIER,
    *,
    symbol: str | None = None,
    side: Side | None = None,
    venue: str | None = None,
    **values: Any,
) -> Execution:
    """Place the order; ends the journey, and signal-to-fill is recorded.

    Arguments:
        carrier: the row, record or entry that brought the approved trade.
        symbol: instrument, a bounded metric attribute.
        side: buy or sell.
        venue: where the order goes.
        values: more facts, as for `Stage.set`.
    """
    facts = {"symbol": symbol, "side": side, "venue": venue, **values}
    return Execution("execution", carrier=carrier, **facts)


def stage(name: str, carrier: object = NO_CARRIER, **values: Any) -> Stage:
    """Any stage of your own.

    Arguments:
        name: bounded name, a metric attribute.
        carrier: what brought the journey; left out, the context's goes on.
        values: `ends=True` ends the journey, `attempt=` the delivery's number, and more facts.
    """
    return Stage(name, carrier=carrier, **values)
