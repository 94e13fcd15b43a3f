"""Processes that only watch over workers: they leave the port to those.

A supervisor is known by what it does: it runs uvicorn's or gunicorn's loop over its workers.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import wrapt

from tradespan.guard import guard

LOOPS = (
    ("uvicorn.supervisors.multiprocess", "Multiprocess.run"),
    ("uvicorn.supervisors.basereload", "BaseReload.run"),
    ("gunicorn.arbiter", "Arbiter.start"),
)
"""Where a supervisor begins, before its first worker does."""

_GIVE_WAY = guard("endpoints.give_way")


def is_fork_server() -> bool:
    """Whether this process only forks multiprocessing's workers, which have ports of their own."""
    return any("multiprocessing.forkserver" in argument for argument in sys.orig_argv)


def install(give_way: Callable[[], object]) -> None:
    """Have this called in a process that turns out to be a supervisor."""

    def before(wrapped: Callable[..., Any], _: Any, args: Any, kwargs: Any) -> Any:
        with _GIVE_WAY:
            give_way()
        return wrapped(*args, **kwargs)

    for module, loop in LOOPS:

        def hook(loaded: Any, loop: str = loop) -> None:
            with _GIVE_WAY:
                wrapt.wrap_function_wrapper(loaded, loop, before)

        wrapt.register_post_import_hook(hook, module)
