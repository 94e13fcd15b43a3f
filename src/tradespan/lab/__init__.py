"""The real Collector and the real backends on one machine, without containers."""

from tradespan.lab.background import Running, down, read, up
from tradespan.lab.build import build
from tradespan.lab.errors import LabError
from tradespan.lab.plans import FAST, Addresses
from tradespan.lab.ports import STANDARD
from tradespan.lab.programs import Program, catalogue, find, go_version
from tradespan.lab.stack import Stack

__all__ = [
    "FAST",
    "STANDARD",
    "Addresses",
    "LabError",
    "Program",
    "Running",
    "Stack",
    "build",
    "catalogue",
    "down",
    "find",
    "go_version",
    "read",
    "up",
]
