"""Progress of a run on stderr: one live line on a terminal, else a line every few seconds."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TextIO

_WORDS = {"ok": "filled", "skipped": "skipped (HOLD)"}
_EVERY_S = 5.0


class Progress:
    """Show how many signals of a run have ended, and how.

    Arguments:
        signals: how many there will be.
        stream: where to; a terminal gets one line that is written over.
    """

    def __init__(self, signals: int, stream: TextIO) -> None:
        self._signals = signals
        self._stream = stream
        self._live = stream.isatty()
        self._said = time.monotonic()
        self._width = 0

    def show(self, ended: Mapping[str, int]) -> None:
        """Show the counts by outcome, unless it is too soon for another line."""
        if self._live:
            self._over(self._text(ended))
        elif time.monotonic() - self._said >= _EVERY_S:
            self._said = time.monotonic()
            self._line(self._text(ended))

    def finish(self, ended: Mapping[str, int]) -> None:
        """Show the last counts and leave the line."""
        if self._live:
            self._over(self._text(ended))
            self._line("")
        else:
            self._line(self._text(ended))

    def _text(self, ended: Mapping[str, int]) -> str:
        words = ", ".join(f"{count} {_WORDS.get(how, how)}" for how, count in ended.items())
        done = sum(ended.values())
        return f"{done} of {self._signals} signals have ended{': ' if words else ''}{words}"

    def _over(self, text: str) -> None:
        self._stream.write("\r" + text.ljust(self._width))
        self._stream.flush()
        self._width = len(text)

    def _line(self, text: str) -> None:
        self._stream.write(text + "\n")
        self._stream.flush()
