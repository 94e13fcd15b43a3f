"""An account of the ended stages that owes nothing to telemetry, for the tests of lost spans."""

from __future__ import annotations

import json
import os
from pathlib import Path


def note(service: str, stage: str, signal_id: str, outcome: str) -> None:
    """Write one line to LEDGER_DIR/SERVICE.jsonl, and to the disk; without LEDGER_DIR nothing."""
    folder = os.environ.get("LEDGER_DIR")
    if not folder:
        return
    entry = {"service": service, "stage": stage, "signal_id": signal_id, "outcome": outcome}
    with (Path(folder) / f"{service}.jsonl").open("a") as file:
        file.write(json.dumps(entry) + "\n")
        file.flush()
        os.fsync(file.fileno())
