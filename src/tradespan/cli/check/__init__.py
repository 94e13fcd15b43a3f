"""`tradespan check`: whether tradespan.yaml is right, and can work where it will run."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from tradespan import settings
from tradespan.cli.check.faults import Fault, Page

if TYPE_CHECKING:
    from tradespan.cli.check.resolve import Tried

_NAME = "tradespan.yaml"
_USAGE = 2
_EXAMPLE = """\
example:
  tradespan check                          the file that the services here would take
  tradespan check estate.yaml --json       one JSON object, for a program
  tradespan check --import --service risk  try every target of one service in its environment
  tradespan check --import --script risk=services/risk.py

--import imports the modules that the file names, so their top-level code runs; what they print goes
to stderr. A script is never run: its __main__: names are found by reading it. Run it where the
service runs, with the service's own interpreter and working folder.

exit status: 0 nothing wrong (warnings and notes may be there), 1 errors, 2 wrong usage
"""


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command `check`."""
    parser = subparsers.add_parser(
        "check",
        help="validate tradespan.yaml, match every hand-off, and try its targets",
        description="Validate tradespan.yaml as a whole: every fault with its line and a hint.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "file", nargs="?", metavar="FILE", help="default: tradespan.yaml here or in a folder above"
    )
    parser.add_argument(
        "--import", action="store_true", dest="tried", help="import and try every target"
    )
    parser.add_argument("--service", metavar="NAME", help="this service of the file only")
    parser.add_argument(
        "--script",
        action="append",
        default=[],
        metavar="NAME=PATH",
        help="the script that is __main__ of a service; may be repeated",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    file = _file(args.file)
    if file is None:
        where = args.file or f"{_NAME} in {Path.cwd()} or above it"
        return _wrong(f"there is no {where}", "name the file: tradespan check FILE")
    scripts = dict(word.partition("=")[::2] for word in args.script)
    for name, path in scripts.items():
        if not Path(path).is_file():
            return _wrong(f"--script {name}={path}: there is no such file", "NAME=PATH")

    from tradespan.cli.check import estate as rules
    from tradespan.cli.check import resolve

    faults, estate = rules.read(file)
    wanted = [args.service] if args.service else None
    found: list[Tried] = []
    if estate is not None:
        if unknown := sorted({*(wanted or ()), *scripts} - set(estate.services)):
            known = ", ".join(estate.services) or "none"
            return _wrong(f"{file} has no service {unknown[0]!r}", f"it has {known}")
        if args.tried:
            sys.path[:0] = [str(Path.cwd())]
            page = Page(str(file), file.read_text(encoding="utf-8"))
            found = resolve.try_all(estate, page, wanted or list(estate.services), scripts)
            faults += page.faults
    faults = _of(args.service, faults)
    errors = sum(fault.level == "error" for fault in faults)
    if args.json:
        facts = {"file": str(file), "ok": not errors, "faults": [asdict(f) for f in faults]}
        print(json.dumps({**facts, "targets": [asdict(t) for t in found]}, indent=2))
    else:
        _show(file, faults, found)
    return 1 if errors else 0


def _of(service: str | None, faults: list[Fault]) -> list[Fault]:
    """Those of a service and those of no service, in the order of the lines."""
    own = f"services.{service}"
    return sorted(
        (
            fault
            for fault in faults
            if service is None
            or not fault.path.startswith("services.")
            or f"{fault.path}.".startswith(f"{own}.")
        ),
        key=lambda fault: fault.line,
    )


def _file(given: str | None) -> Path | None:
    """The named file, else the one that services would find from here."""
    if given:
        path = Path(given).expanduser()
        return path if path.is_file() else None
    named = settings.environment().get("TRADESPAN_CONFIG", "")
    if named:
        return _file(named)
    here = Path.cwd()
    return next((d / _NAME for d in (here, *here.parents) if (d / _NAME).is_file()), None)


def _show(file: Path, faults: list[Fault], found: list[Tried]) -> None:
    for fault in faults:
        print(fault.said())
    if faults and found:
        print()
    wide = max((len(t.target) for t in found), default=0)
    service = ""
    for one in found:
        if one.service != service:
            service = one.service
            print(f"{service}:")
        print(f"  {one.state:<9} {one.target:<{wide}}  {one.what}".rstrip())
    counts = ", ".join(
        f"{n} {level}{'s' * (n != 1)}"
        for level in ("error", "warning", "note")
        if (n := sum(f.level == level for f in faults))
    )
    print(f"{file}: {counts or 'nothing wrong'}")


def _wrong(what: str, hint: str) -> int:
    print(f"error: {what}\nhint: {hint}", file=sys.stderr)
    return _USAGE
