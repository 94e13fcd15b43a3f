"""SIGTERM to a service of the pipeline in the middle of a run loses nothing that had ended."""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from .support.collector import NAMESPACE, Collector

SERVICES = ("signal-generator", "orchestrator", "llm-validation", "risk", "trade-executor")
SIGNALS = 150


def ledger(folder: Path) -> list[dict[str, str]]:
    """What the services wrote down and fsynced, right after each stage had ended."""
    return [
        json.loads(line)
        for file in folder.glob("*.jsonl")
        for line in file.read_text().splitlines()
    ]


def wait_for_lines(folder: Path, count: int) -> None:
    deadline = time.monotonic() + 60
    while len(ledger(folder)) < count:
        assert time.monotonic() < deadline, f"{len(ledger(folder))} of {count} lines"
        time.sleep(0.02)


@pytest.mark.parametrize("killed", [*SERVICES, "all"])
def test_every_stage_of_the_ledger_has_its_span_and_is_counted(
    pipeline: Any, tmp_path: Path, killed: str
) -> None:
    """An independent ledger has no stage that spans and metrics do not have."""
    with Collector() as collector:
        environ = {
            # Long delays: what is not flushed at the end would be missing.
            "OTEL_BSP_SCHEDULE_DELAY": "60000",
            "OTEL_METRIC_EXPORT_INTERVAL": "60000",
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
            "OTEL_RESOURCE_ATTRIBUTES": f"service.namespace={NAMESPACE}",
        }
        flags = ["--signals", str(SIGNALS), "--interval-ms", "10", "--ledger", str(tmp_path)]
        with pipeline(*flags, **environ) as p:
            wait_for_lines(tmp_path, 80)
            chosen = SERVICES if killed == "all" else (killed,)
            for name in chosen:
                os.kill(p.ready["services"][name]["pid"], signal.SIGTERM)
            time.sleep(0.3)
            p.stop()
        written = ledger(tmp_path)
    # A hold is counted and leaves no trace of its own.
    holds = {(w["signal_id"], w["stage"]) for w in written if w["outcome"] == "skipped"}
    stages = Counter((line["signal_id"], line["stage"]) for line in written)
    spans = collector.ended()
    visible = {key: n for key, n in stages.items() if key not in holds}
    lost = {key: n - spans[key] for key, n in visible.items() if spans[key] < n}
    assert len(visible) > 20
    assert lost == {}, f"{len(lost)} of {len(visible)} stages lost"
    counted = collector.counted()
    by_stage = Counter(line["stage"] for line in written)
    assert {s: n for s, n in by_stage.items() if counted.get(s, 0) < n} == {}
    print(f"{killed}: {len(written)} ledger lines, {sum(spans.values())} spans, 0 lost")
