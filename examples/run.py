"""Start one of the examples: its stand-ins, and its services under opentelemetry-instrument.

One line of JSON on stdout says where everything is once it is ready. SIGTERM or Ctrl-C stops it.
For example: python run.py agents
"""

from __future__ import annotations

import argparse
import json
import os
import string
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "crypto_pipeline"))  # whose launcher is everybody's

from processes import INSTRUMENTED, Children, Ports, StartError, until_stopped  # noqa: E402

PLAN = "example.yaml"
KEYS = {"run", "port", "scheme", "stand_in", "drives", "environment"}
READY = 60.0  # seconds


class Addresses(string.Template):
    """`${name}` in a plan, where a name may have hyphens as services' names do."""

    braceidpattern = r"(?a:[_a-z][_a-z0-9-]*)"


def arguments() -> argparse.Namespace:
    first, _, rest = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(description=first, epilog=rest)
    known = sorted(found.parent.name for found in HERE.glob(f"*/{PLAN}"))
    parser.add_argument("example", choices=known, help="its folder")
    parser.add_argument("--verbose", action="store_true", help="show what the programs print")
    parser.add_argument(
        "--interval-ms", type=positive, default=1000.0, metavar="MS", help="between two rounds"
    )
    return parser.parse_args()


def positive(text: str) -> float:
    number = float(text)
    if not 0 < number < 3_600_000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return number


def read(example: Path) -> dict[str, Any]:
    """The plan of an example; raises StartError naming what is wrong in it."""
    plan: dict[str, Any] = yaml.safe_load((example / PLAN).read_text())
    for name, program in plan["programs"].items():
        if unknown := set(program) - KEYS:
            raise StartError(f"{example.name}/{PLAN}: {name} has {unknown}, known: {KEYS}")
        if not (example / program["run"]).is_file():
            raise StartError(f"{example.name}/{PLAN}: {name} runs {program['run']}: no such file")
    return plan


def settings(plan: Mapping[str, Any], folder: Path) -> dict[str, str]:
    """The environment of every program: the example's where the user's says nothing."""
    known = os.environ.get("NO_PROXY") or os.environ.get("no_proxy", "")
    direct = ",".join(filter(None, [known, "127.0.0.1,localhost"]))
    ours = {"NO_PROXY": direct, "no_proxy": direct, "DATA_DIR": str(folder)}
    return {"PYTHONUNBUFFERED": "1", **plan.get("environment", {}), **os.environ, **ours}


def start(
    example: Path, plan: Mapping[str, Any], children: Children, environ: Mapping[str, str]
) -> dict[str, dict[str, Any]]:
    """Start the stand-ins, the services, then what `drives` them: address and id of each by name.

    It stops the other way round, so that nobody asks a service that has already gone.
    """
    ports = Ports()
    programs = plan["programs"]
    taken = {name: ports.take(own.get("port", 0)) for name, own in programs.items()}
    urls = {
        name: f"{own.get('scheme', 'http')}://127.0.0.1:{taken[name]}"
        for name, own in programs.items()
    }
    found: dict[str, dict[str, Any]] = {}
    for turn in range(3):
        group = {name: own for name, own in programs.items() if turn_of(own) == turn}
        children.begin_group()
        for name, own in group.items():
            said = {
                key: Addresses(str(value)).substitute({**environ, **urls})
                for key, value in own.get("environment", {}).items()
            }
            own_environ = {**environ, **said, "PORT": str(taken[name]), "OTEL_SERVICE_NAME": name}
            python = [sys.executable] if own.get("stand_in", False) else INSTRUMENTED
            child = children.start(name, [*python, str(example / own["run"])], own_environ)
            found[name] = {"url": urls[name], "pid": child.pid}
        children.wait_for({name: taken[name] for name in group}, READY)
    return found


def turn_of(program: Mapping[str, Any]) -> int:
    if program.get("stand_in", False):
        return 0
    return 2 if program.get("drives", False) else 1


def run(args: argparse.Namespace, folder: Path, stop: threading.Event) -> None:
    """Start everything, say so, and stay until told to stop; raises StartError or Stopped."""
    example = HERE / args.example
    plan = read(example)
    environ = {**settings(plan, folder), "INTERVAL_MS": str(args.interval_ms)}
    with Children(stop, verbose=args.verbose) as children:
        print(json.dumps({"programs": start(example, plan, children, environ)}), flush=True)
        print(f"{args.example} runs; Ctrl-C stops it", file=sys.stderr)
        while not stop.wait(0.2):
            children.check()


def main() -> int:
    args = arguments()
    return until_stopped(lambda folder, stop: run(args, folder, stop), f"{args.example}-")


if __name__ == "__main__":
    sys.exit(main())
