"""Functions that a decorator registers before they can be wrapped, so that it calls them unseen."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

from tradespan.cli.check.faults import Page, Place
from tradespan.cli.check.script import Script
from tradespan.mapping.targets import Target


def warn_if_taken(target: Target, script: Path | None, place: Place, page: Page) -> None:
    """Warn where the decorator of a target is known to keep the function that it is given.

    Arguments:
        target: one that exists; its module is imported.
        script: that is `__main__`.
        place: in the file.
        page: takes the warning.
    """
    source = script
    if target.module != "__main__":
        file = getattr(sys.modules[target.module], "__file__", None)
        source = Path(file) if file and file.endswith(".py") else None
    if source is None:
        return
    with contextlib.suppress(OSError, SyntaxError, ValueError):
        found = Script(source).find(target.names)
        if found is not None and found.taken_by:
            page.warning(
                place,
                f"{target.text}: {found.taken_by} takes it before it is wrapped, "
                "and calls it unseen",
                f"{'for FastAPI write route:, else ' if found.is_route else ''}"
                "name a function that it calls",
            )
