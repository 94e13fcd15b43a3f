"""The stage that is going on here, in the OpenTelemetry context."""

from __future__ import annotations

from typing import Any, Final, Protocol, cast

from opentelemetry import context
from opentelemetry.context import Context

_STAGE: Final = context.create_key("tradespan-stage")


class Nested(Protocol):
    """What is needed of a stage to find the one around it.

    Attributes:
        name: of the stage.
        values: its facts.
        is_over: whether it has ended, or has not begun.
        outside: the context that stood around it.
    """

    name: str
    values: dict[str, Any]
    is_over: bool
    outside: Context


def innermost() -> Nested | None:
    """The innermost stage that is going on here, or None."""
    return _stage(_open(context.get_current()))


def facts() -> dict[str, object]:
    """Name and order id of the stage that is going on here, for log records; empty outside one."""
    stage = innermost()
    return {} if stage is None else {"stage": stage.name, "order_id": stage.values.get("order_id")}


def with_stage(stage: Nested, ctx: Context) -> Context:
    """The context with this stage in it."""
    return context.set_value(_STAGE, stage, ctx)


def leave(stage: Nested) -> None:
    """Restore what stood around a stage, where the stage is still what is current."""
    if _stage(context.get_current()) is stage:
        context.attach(_open(stage.outside))


def _open(ctx: Context) -> Context:
    """The context, or the nearest one around it, whose stage is not over."""
    while True:
        stage = _stage(ctx)
        if stage is None or not stage.is_over:
            return ctx
        ctx = stage.outside


def _stage(ctx: Context) -> Nested | None:
    return cast("Nested | None", context.get_value(_STAGE, ctx))
