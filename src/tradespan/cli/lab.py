"""`tradespan lab`: the real Collector and backends on this machine."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

from tradespan.settings import ConfigError, read_settings

if TYPE_CHECKING:
    from tradespan.lab import Running

_NOT_RUNNING = 3  # as systemctl status has it

_EXAMPLE = """\
example:
  tradespan lab up                      start; the usual ports where they are free
  tradespan lab up --port loki=3101     one port of your own choice
  tradespan lab status --json           addresses and processes for a program to read
  tradespan lab down                    stop, and leave nothing behind

ports by name:
  otlp_grpc otlp_http health collector_metrics scrape prometheus jaeger jaeger_grpc jaeger_otlp
  loki loki_grpc alertmanager

exit status: 0 as asked, 1 not so, 2 wrong usage, 3 (status, down) no lab is running
"""


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command `lab` with its actions."""
    parser = subparsers.add_parser(
        "lab",
        help="run the real Collector, Prometheus, Jaeger, Loki and Alertmanager on this machine",
        description="The real Collector and backends on loopback, as the shipped files have them.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")

    up = actions.add_parser("up", help="start it in the background (builds what is missing)")
    up.add_argument(
        "--port",
        action="append",
        default=[],
        metavar="NAME=N",
        help="a port of your choice; may be repeated",
    )
    up.add_argument(
        "--overlay", action="append", default=[], help="of collector/overlays, or a file"
    )
    up.add_argument("--json", action="store_true", help="one JSON object on standard output")
    up.set_defaults(run=_up)

    down = actions.add_parser("down", help="stop it and remove its data")
    down.set_defaults(run=_down)

    status = actions.add_parser("status", help="say whether it runs, and where")
    status.add_argument("--json", action="store_true", help="one JSON object on standard output")
    status.set_defaults(run=_status)

    build = actions.add_parser("build", help="build the programs once, into the cache")
    build.add_argument("program", nargs="*", help="which; all if none is named")
    build.add_argument("--jobs", type=int, default=0, metavar="N", help="packages at once")
    build.set_defaults(run=_build)


def _up(args: argparse.Namespace) -> int:
    from tradespan import lab

    running, new = lab.up(
        read_settings(), ports=_ports(args.port), overlays=args.overlay, report=_tell
    )
    _tell("the lab is ready" if new else "the lab is running already")
    _show(running, as_json=args.json)
    if not args.json:
        endpoint = running.addresses.otlp_http
        _tell(f"services send here with OTEL_EXPORTER_OTLP_ENDPOINT={endpoint}")
        _tell("`tradespan lab down` stops it")
    return 0


def _down(_args: argparse.Namespace) -> int:
    from tradespan import lab

    if lab.down(read_settings()) is None:
        _tell("the lab is not running")
        return _NOT_RUNNING
    _tell("the lab is stopped, its data removed")
    return 0


def _status(args: argparse.Namespace) -> int:
    from tradespan import lab

    running = lab.read(read_settings())
    if running is None:
        if args.json:
            print(json.dumps({"running": False}))
        _tell("the lab is not running; `tradespan lab up` starts it")
        return _NOT_RUNNING
    _show(running, as_json=args.json)
    if ended := running.ended():
        _tell(f"error: {', '.join(ended)} ended by itself; logs are in {running.folder}")
        _tell("hint: `tradespan lab up` cleans up and starts again")
        return 1
    return 0


def _build(args: argparse.Namespace) -> int:
    from tradespan import lab

    known = lab.catalogue()
    if unknown := [name for name in args.program if name not in known]:
        raise ConfigError("program", unknown[0], f"one of {', '.join(known)}")
    wanted = [p for name, p in known.items() if not args.program or name in args.program]
    binaries = lab.build(wanted, read_settings(), _tell, args.jobs)
    for name, binary in binaries.items():
        print(f"{name:<14} {known[name].version:<9} {binary}")
    return 0


def _ports(words: list[str]) -> dict[str, int]:
    ports = {}
    for word in words:
        name, _, number = word.partition("=")
        if not number.isdigit() or not 0 < int(number) < 65536:
            raise ConfigError("--port", word, "write it as NAME=NUMBER, for instance loki=3101")
        ports[name] = int(number)
    return ports


def _show(running: Running, *, as_json: bool) -> None:
    ended = running.ended()
    at = asdict(running.addresses)
    if as_json:
        processes = {
            name: {"pid": process.pid, "running": name not in ended}
            for name, process in running.processes.items()
        }
        facts = {"running": not ended, "addresses": at, "processes": processes}
        print(json.dumps({**facts, "folder": str(running.folder)}))
        return
    for name, address in at.items():
        print(f"{name:<18} {address}")


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
