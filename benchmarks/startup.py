"""What a tradespan.yaml of 50 targets adds to the start of a service.

    python benchmarks/startup.py [--runs 15] [--json]

Medians over fresh interpreters, two kinds in turn: one imports yaml and pydantic, the other also
reads, validates and applies the file as a service does. pydantic imports most of itself when the
first model class is made, so "in use" is the import and one class of one field. It is processor
time, which a busy machine hardly changes. All of it is compiled before, as pip leaves an
installed package, whatever PYTHONDONTWRITEBYTECODE says here.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

LIMIT_MS = 20.0
PYDANTIC = """
import os, sys, time
import tradespan.distro, tradespan.export.spans, tradespan.decorate  # what is there before
import tradespan.handoffs.carrier
began = time.process_time()
import yaml
from pydantic import BaseModel
imported = time.process_time()
from pydantic import BeforeValidator, ConfigDict, Field, model_validator
class One(BaseModel):
    one: int = Field(1)
One.model_validate({})
in_use = ended = time.process_time()
"""
WHOLE = (
    PYDANTIC
    + """
from tradespan.mapping import start
record = start.start(sys.argv[1], "svc", os.environ)
ended = time.process_time()
assert record is not None and len(record.entries) == 50, record
"""
)
TELL = """
print(imported - began, in_use - began, ended - began, flush=True)
os._exit(0)
"""


def estate(targets: int) -> str:
    """A file whose service has so many targets, in the proportions of a real one."""
    lines = ["version: 1", "pipeline: {name: crypto, stages: {signal: 150ms}}", "services:"]
    lines += ["  svc:", "    stages:"]
    stages = targets * 3 // 5
    for n in range(stages):
        lines += [
            f"      stage{n}:",
            f"        run: module{n % 10}:Class{n}.method{n}",
            "        set: {symbol: args.order.symbol, confidence: result.confidence}",
            "        map: {decision: {APPROVE: approved, REJECT: rejected}}",
            '        outcome: {rejected: result.status == "rejected", skipped: result is none}',
        ]
    calls = targets - stages
    names = ", ".join(f'"module{n % 10}:function{n}"' for n in range(calls))
    lines += ["    calls:", f"      model_inference: [{names}]"]
    return "\n".join(lines) + "\n"


def measure(runs: int) -> dict[str, float]:
    """Medians in milliseconds."""
    base: list[list[float]] = []
    whole: list[list[float]] = []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "tradespan.yaml"
        file.write_text(estate(50))
        for _ in range(runs + 1):  # the first compiles, and fills the file caches
            base.append(_run(PYDANTIC + TELL, file, folder))
            whole.append(_run(WHOLE + TELL, file, folder))
    imported, in_use, _ = (statistics.median(x) * 1e3 for x in zip(*base[1:], strict=True))
    import_, use, ended = zip(*whole[1:], strict=True)
    beyond_import = [end - before for end, before in zip(ended, import_, strict=True)]
    beyond_use = [end - before for end, before in zip(ended, use, strict=True)]
    return {
        "imported_ms": imported,
        "in_use_ms": in_use,
        "with_file_ms": statistics.median(ended) * 1e3,
        "beyond_import_ms": statistics.median(beyond_import) * 1e3,
        "beyond_use_ms": statistics.median(beyond_use) * 1e3,
        "ratio": statistics.median(ended) * 1e3 / in_use,
    }


def _run(program: str, file: Path, compiled: str) -> list[float]:
    env = {**os.environ, "OTEL_SDK_DISABLED": "true", "PYTHONPYCACHEPREFIX": compiled}
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    done = subprocess.run(
        [sys.executable, "-c", program, str(file)],
        env=env,
        check=True,
        capture_output=True,
        text=True,
    )
    return [float(word) for word in done.stdout.split()]


def main() -> int:
    """Print the figures; the exit status says whether the limit holds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--runs", type=int, default=15, help="interpreters of each kind")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    arguments = parser.parse_args()
    figures = measure(arguments.runs)
    if arguments.json:
        print(json.dumps(figures))
    else:
        for label, name in (
            ("import yaml, pydantic.BaseModel", "imported_ms"),
            ("yaml and pydantic in use", "in_use_ms"),
            ("with a file of 50 targets", "with_file_ms"),
            ("beyond the import", "beyond_import_ms"),
            ("beyond pydantic in use", "beyond_use_ms"),
        ):
            print(f"{label:<32} {figures[name]:7.1f} ms")
        print(f"{'with the file / in use':<32} {figures['ratio']:7.2f}")
    return 0 if figures["beyond_use_ms"] <= LIMIT_MS else 1


if __name__ == "__main__":
    raise SystemExit(main())
