"""Every send matched with a receive."""

from __future__ import annotations

from tradespan.cli.check.faults import Page
from tradespan.mapping.config import Estate, Handoff


def check_handoffs(estate: Estate, page: Page) -> None:
    """What is sent and never received, received and never sent, or declared for nobody."""
    senders: dict[str, list[str]] = {name: [] for name in estate.handoffs}
    takers: dict[str, list[str]] = {name: [] for name in estate.handoffs}
    for service, mapped in estate.services.items():
        for name in mapped.send:
            senders[name].append(service)
        for stage, config in mapped.stages.items():
            for name, path in config.receive.items():
                takers[name].append(service)
                if not path.before:
                    page.error(
                        ("services", service, "stages", stage, "receive", name),
                        f"{path.text} is known after the call only, when the stage has begun",
                        "take it from args, self or env",
                    )
    for name, handoff in estate.handoffs.items():
        _check_one(name, handoff, senders[name], takers[name], page)


def _check_one(
    name: str, handoff: Handoff, senders: list[str], takers: list[str], page: Page
) -> None:
    place = ("handoffs", name)
    if not senders and not takers and not handoff.inject:
        page.warning(
            place, "no service sends or receives it", f"receive: {{{name}: args...}} in a stage"
        )
        return
    if handoff.key:
        if not senders:
            page.error(
                place,
                f"is received by {', '.join(takers)} and sent by nobody: every row waits in vain",
                f"send: {{{name}: {{after: module:function, key: result}}}} in the service that "
                "writes the row",
            )
        elif not takers:
            page.warning(
                place,
                f"is sent by {', '.join(senders)} and received by nobody",
                f"receive: {{{name}: args.row.id}} in the stage that reads the row",
            )
    elif handoff.redis_stream:
        _check_stream(name, handoff, takers, page)


def _check_stream(name: str, handoff: Handoff, takers: list[str], page: Page) -> None:
    place = ("handoffs", name)
    if takers and not handoff.inject:
        page.warning(
            (*place, "inject"),
            f"is received by {', '.join(takers)}, but nothing is added to the entries: each "
            "journey begins anew there",
            "inject: true, once every consumer is instrumented or lets unknown fields be",
        )
    if handoff.inject and not takers:
        page.warning(
            place,
            "is injected and received by nobody: the journey ends at the stream",
            f"receive: {{{name}: args.fields}} in the stage that reads the stream",
        )
    if handoff.owner and handoff.owner not in takers:
        page.error(
            (*place, "owner"),
            f"{handoff.owner!r} is no consumer of it; "
            + (f"its consumers: {', '.join(takers)}" if takers else "no service receives it"),
            "the owner measures the group over the consumer's own connection to Redis",
        )
