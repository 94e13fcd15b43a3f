"""What the mapping has to say: each thing once, and all of it for /health and the summary."""

from __future__ import annotations

import logging
import threading

log = logging.getLogger("tradespan")

_said: dict[str, str] = {}
_lock = threading.Lock()
_MOST = 1000


def say_once(where: str, what: str) -> None:
    """One line for each place and thing; never raises."""
    line = f"{where}: {what}"
    with _lock:
        if line in _said or len(_said) >= _MOST:
            return
        _said[line] = what
    log.warning("tradespan.yaml: %s", line)


def said() -> list[str]:
    """Every line so far, in order."""
    return list(_said)


def forget() -> None:
    """Say everything anew; for tests."""
    _said.clear()
