"""What became of every target: wrapped, not and why, and how often it fired."""

from __future__ import annotations

import threading


class Entry:
    """One target of this service.

    Attributes:
        place: where it stands in the file.
        target: as written.
        state: `waiting` (its module is not imported), `wrapped` or `not wrapped`.
        why: the reason, or what else should be known.
        fired: how often it has been called.
    """

    def __init__(self, place: str, target: str) -> None:
        self.place, self.target = place, target
        self.state, self.why, self.fired = "waiting", "", 0


class Record:
    """All targets of this service."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self._lock = threading.Lock()

    def add(self, place: str, target: str) -> Entry:
        """A new one, waiting."""
        entry = Entry(place, target)
        with self._lock:
            self.entries.append(entry)
        return entry

    def never_fired(self) -> list[Entry]:
        """Those that are wrapped and were not called yet."""
        return [e for e in self.entries if e.state == "wrapped" and not e.fired]

    def summary(self, service: str, file: str) -> str:
        """One line: how many targets are wrapped, and each that is not, with the reason."""
        wrapped = sum(e.state == "wrapped" for e in self.entries)
        line = f"{file}: {service}: {wrapped} of {len(self.entries)} targets wrapped"
        for state in ("waiting", "not wrapped"):
            others = [e for e in self.entries if e.state == state]
            reasons = "; ".join(f"{e.target} ({e.why or 'not imported yet'})" for e in others)
            if others:
                line += f"; {state}: {reasons}"
        notes = "; ".join(
            f"{e.target}: {e.why}" for e in self.entries if e.state == "wrapped" and e.why
        )
        return line + (f"; note: {notes}" if notes else "")

    def facts(self) -> list[dict[str, object]]:
        """The same for a program, as /health shows it."""
        return [
            {"place": e.place, "target": e.target, "state": e.state, "why": e.why, "fired": e.fired}
            for e in self.entries
        ]

    def health(self) -> dict[str, object]:
        """The whole for /health: how many are wrapped, each of them, and what is not as trouble."""
        lost = [
            f"{e.target} is not wrapped: {e.why}" for e in self.entries if e.state == "not wrapped"
        ]
        wrapped = sum(e.state == "wrapped" for e in self.entries)
        return {
            "wrapped": wrapped, "of": len(self.entries), "all": self.facts(), "trouble": lost
        }  # fmt: skip
