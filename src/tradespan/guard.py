"""Telemetry never hurts its host: a failure of ours is logged once, counted, and that is all."""

from __future__ import annotations

import logging
from collections import Counter
from types import TracebackType

log = logging.getLogger("tradespan")

failures: Counter[str] = Counter()
"""How often each site failed, for `tradespan.telemetry.failures` and for /health."""

strict = False
"""True in our own tests: failures are raised again instead of being kept away."""


def failed(site: str, error: BaseException) -> None:
    """Count a failure at a site and log the first one there. Never raises."""
    failures[site] += 1
    if failures[site] == 1:
        log.warning(
            "telemetry failed at %s and goes on without it: %s: %s (later ones are only counted)",
            site,
            type(error).__name__,
            _text(error),
            exc_info=error if log.isEnabledFor(logging.DEBUG) else None,
        )


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:
        return "it has no text"


class guard:  # noqa: N801 - reads as a keyword
    """`with guard("stage.end"): ...` keeps exceptions of the block away from the service.

    Holds no state, so that one object made at import serves every call.

    Arguments:
        site: bounded name of the place, a label of `tradespan.telemetry.failures`.
    """

    __slots__ = ("site",)

    def __init__(self, site: str) -> None:
        self.site = site

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> bool:
        if error is None or not isinstance(error, Exception) or strict:
            return False
        failed(self.site, error)
        return True
