"""What goes wrong in the lab, said so that a person can act on it."""

from __future__ import annotations


class LabError(RuntimeError):
    """A program could not be built, started or found.

    Attributes:
        hint: what to do about it.
    """

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint
