"""Start the whole pipeline: stubs, Redis, database and the five services, each instrumented.

One line of JSON on stdout says where everything is once it is ready. SIGTERM or Ctrl-C stops it.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import threading
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from database import JOURNEY, Database
from processes import INSTRUMENTED, Children, Ports, until_stopped

HERE = Path(__file__).resolve().parent
SERVICES = {
    "signal-generator": ("signal_generator.py", 8025),
    "orchestrator": ("orchestrator.py", 8023),
    "llm-validation": ("llm_validation.py", 8050),
    "risk": ("risk.py", 8027),
    "trade-executor": ("trade_executor.py", 8024),
}
DEFAULTS = {
    "TRADESPAN_MODE": "replay",
    "OTEL_PYTHON_FASTAPI_EXCLUDED_URLS": "/health$,/stats$,/start$",
    "PYTHONUNBUFFERED": "1",
}
UNMAPPED = {  # what a tradespan.yaml says otherwise
    "TRADESPAN_PIPELINE": "crypto",
    "TRADESPAN_BUDGETS": "signal=150ms,validation=2s,risk=20ms,execution=250ms,total=3s",
}
MILLISECONDS = {
    "--interval-ms": 50.0,
    "--model-latency-ms": 15.0,
    "--exchange-latency-ms": 5.0,
    "--executor-pause-ms": 0.0,
}
SHARES = {
    "--model-error-rate": 0.0,
    "--exchange-error-rate": 0.0,
    "--exchange-reject-rate": 0.02,
}
READY = 60.0  # seconds


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--signals", type=whole, default=0, metavar="N", help="0: endless")
    parser.add_argument("--hold-start", action="store_true", help="wait for POST /start")
    parser.add_argument("--redis", metavar="URL", help="default: an embedded one")
    parser.add_argument("--database", metavar="URL", help="postgresql://...; default: SQLite")
    parser.add_argument("--ledger", type=Path, metavar="DIR", help="an account of ended stages")
    parser.add_argument(
        "--services", type=scripts, default=HERE, metavar="DIR", help="other scripts of these names"
    )
    parser.add_argument(
        "--instrument", type=services, default=list(SERVICES), metavar="NAME,...",
        help="start only these under opentelemetry-instrument, or none; default: all",
    )  # fmt: skip
    parser.add_argument("--verbose", action="store_true", help="show what the children print")
    for flag, usual in MILLISECONDS.items():
        parser.add_argument(flag, type=amount, default=usual, metavar="MS", help=f"usual: {usual}")
    for flag, rate in SHARES.items():
        parser.add_argument(flag, type=share, default=rate, metavar="0..1", help=f"usual: {rate}")
    return parser.parse_args()


def scripts(text: str) -> Path:
    found = Path(text).resolve()
    if not found.is_dir():
        found = HERE.parent / text  # another example, by its name
    for script, _ in SERVICES.values():
        if not (found / script).is_file():
            raise argparse.ArgumentTypeError(f"{text!r} has no {script}")
    return found


def services(text: str) -> list[str]:
    found = [] if text == "none" else text.split(",")
    for name in found:
        if name not in SERVICES:
            raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(SERVICES)}")
    return found


def whole(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0")
    return int(text)


def amount(text: str) -> float:
    number = float(text)
    if not 0 <= number < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0")
    return number


def share(text: str) -> float:
    number = float(text)
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not between 0 and 1")
    return number


def start_stubs(
    args: argparse.Namespace, children: Children, ports: Ports, environ: Mapping[str, str]
) -> dict[str, str]:
    """Start the stubs (and Redis if none was given); their addresses by name."""
    stubs = {
        "ollama": {"LATENCY_MS": args.model_latency_ms, "ERROR_RATE": args.model_error_rate},
        "exchange": {
            "LATENCY_MS": args.exchange_latency_ms,
            "ERROR_RATE": args.exchange_error_rate,
            "REJECT_RATE": args.exchange_reject_rate,
        },
    }
    if not args.redis:
        stubs["redis_server"] = {}
    taken = {name: ports.take() for name in stubs}
    children.begin_group()
    for name, settings in stubs.items():
        own = {key: str(value) for key, value in settings.items()}
        command = [sys.executable, str(HERE / "stubs" / f"{name}.py")]
        children.start(name, command, {**environ, **own, "PORT": str(taken[name])})
    children.wait_for(taken, READY)
    scheme = {"redis_server": "redis"}
    return {name: f"{scheme.get(name, 'http')}://127.0.0.1:{port}" for name, port in taken.items()}


def start_services(
    args: argparse.Namespace, children: Children, ports: Ports, environ: Mapping[str, str]
) -> dict[str, Any]:
    """Start the five services, instrumented where it is asked; their addresses and process ids."""
    taken = {name: ports.take(usual) for name, (_, usual) in SERVICES.items()}
    shared = {
        **environ,
        "LLM_URL": f"http://127.0.0.1:{taken['llm-validation']}",
        "RISK_URL": f"http://127.0.0.1:{taken['risk']}",
        "SIGNALS": str(args.signals),
        "INTERVAL_MS": str(args.interval_ms),
        "HOLD_START": "1",  # no signal before the last service is ready
        "EXECUTOR_PAUSE_MS": str(args.executor_pause_ms),
    }
    if args.ledger:
        args.ledger.mkdir(parents=True, exist_ok=True)
        shared["LEDGER_DIR"] = str(args.ledger.resolve())
    children.begin_group()
    found = {}
    for name, (script, _) in SERVICES.items():
        own = {"OTEL_SERVICE_NAME": name, "PORT": str(taken[name])}
        python = INSTRUMENTED if name in args.instrument else [sys.executable]
        child = children.start(name, [*python, str(args.services / script)], {**shared, **own})
        found[name] = {"url": f"http://127.0.0.1:{taken[name]}", "pid": child.pid}
    children.wait_for(taken, READY)
    return found


def settings(args: argparse.Namespace, folder: Path) -> dict[str, str]:
    """The environment of every program: ours where the user's says nothing."""
    known = os.environ.get("NO_PROXY") or os.environ.get("no_proxy", "")
    direct = ",".join(filter(None, [known, "127.0.0.1,localhost"]))
    environ = dict(DEFAULTS)
    mapping = args.services / "tradespan.yaml"
    if mapping.is_file():
        environ["TRADESPAN_CONFIG"] = str(mapping)
        environ["TRADESPAN_STORE"] = f"sqlite:///{folder / 'handoffs.sqlite'}"
    else:
        environ |= UNMAPPED
    shared = filter(None, [str(HERE), os.environ.get("PYTHONPATH", "")])
    ours = {"NO_PROXY": direct, "no_proxy": direct, "PYTHONPATH": os.pathsep.join(shared)}
    return {**environ, **os.environ, **ours}


def begin(generator: str) -> None:
    """Let the signals flow."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    direct.open(f"{generator}/start", data=b"", timeout=READY).close()


def run(args: argparse.Namespace, folder: Path, stop: threading.Event) -> None:
    """Start everything, say so, and stay until told to stop; raises StartError or Stopped."""
    ports = Ports()
    environ = settings(args, folder)
    with Children(stop, verbose=args.verbose) as children:
        stubs = start_stubs(args, children, ports, environ)
        redis = args.redis or f"{stubs.pop('redis_server')}/0"
        database = args.database or f"sqlite:///{folder / 'pipeline.sqlite'}"
        columns = JOURNEY if args.services == HERE else ()
        Database(database, columns).close()  # its tables exist before five programs ask for them
        environ |= {"REDIS_URL": redis, "DATABASE_URL": database}
        environ |= {"OLLAMA_URL": stubs["ollama"], "EXCHANGE_URL": stubs["exchange"]}
        services = start_services(args, children, ports, environ)
        ready = {"services": services, "redis": redis, "database": database, "stubs": stubs}
        print(json.dumps(ready), flush=True)
        if not args.hold_start:
            begin(services["signal-generator"]["url"])
        print("the pipeline runs; Ctrl-C stops it", file=sys.stderr)
        while not stop.wait(0.2):
            children.check()
    ports.release()


def main() -> int:
    args = arguments()
    return until_stopped(lambda folder, stop: run(args, folder, stop), "crypto-pipeline-")


if __name__ == "__main__":
    sys.exit(main())
