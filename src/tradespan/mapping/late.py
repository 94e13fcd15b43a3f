"""The names of a flat script, wrapped as soon as they are defined.

`python service.py` runs the script as `__main__`, which no import hook sees. While its module body
runs, each new line shows which names have come up; a function is wrapped before the line after its
definition runs, so loops, threads and handler tables hold the wrapped one from the start. Nothing
but the module body is traced line by line, and the trace ends with the last name.
"""

from __future__ import annotations

import linecache
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

_STANDSTILL = 5.0  # seconds without a new line, imports aside: the script is past its definitions


class Definitions:
    """Watches the script's module body until every name has come up.

    Arguments:
        names: top-level names.
        found: is told each name once it is defined, and the name of the script's module.
        gave_up: is told the names that did not come up.
    """

    def __init__(
        self,
        names: set[str],
        found: Callable[[str, str], None],
        gave_up: Callable[[set[str]], None],
    ) -> None:
        self._open, self._found, self._gave_up = set(names), found, gave_up
        self._body: FrameType | None = None
        self._seen: set[int] = set()
        self._deadline = 0.0

    def watch(self) -> None:
        """Begin; only the main thread runs a script. A debugger's trace is left alone."""
        main = threading.current_thread() is threading.main_thread()
        if main and self._open and sys.gettrace() is None:
            sys.settrace(self._on_call)
        elif self._open:
            self._gave_up(self._open)

    def _on_call(self, frame: FrameType, _: str, __: Any) -> Any:
        if _is_script(frame) and not self._is_inside(frame):
            self._body = frame
            return self._on_line
        if self._body is not None and self._stands_still(self._body):
            self._stop()
        return None

    def _stands_still(self, body: FrameType) -> bool:
        """Whether no new line came for long; a loop of the script runs the same ones."""
        if body.f_lineno not in self._seen:
            self._seen.add(body.f_lineno)
            self._deadline = time.monotonic() + _STANDSTILL
        return time.monotonic() > self._deadline and not _imports(body)

    def _is_inside(self, frame: FrameType) -> bool:
        """Whether it is code that the script executes, as dataclasses do, and not its body."""
        return self._body is not None and frame.f_globals is self._body.f_globals

    def _on_line(self, frame: FrameType, event: str, _: Any) -> Any:
        for name in [n for n in self._open if n in frame.f_globals]:
            self._open.discard(name)
            self._found(name, frame.f_globals["__name__"])
        if event == "return" or not self._open or self._stands_still(frame):
            self._stop()
            return None
        return self._on_line

    def _stop(self) -> None:
        sys.settrace(None)
        self._body = None
        if self._open:
            self._gave_up(self._open)
            self._open = set()


def _is_script(frame: FrameType) -> bool:
    if frame.f_code.co_name != "<module>":
        return False
    return frame.f_globals.get("__name__") in ("__main__", "__mp_main__")  # the latter is spawned


def _imports(body: FrameType) -> bool:
    """Whether the module body stands at an import, which may take its time."""
    line = linecache.getline(body.f_code.co_filename, body.f_lineno)
    return line.lstrip().startswith(("import ", "from "))
