"""`tradespan demo`: run the example pipeline, follow every signal, print where the time went."""

from __future__ import annotations

import argparse
import importlib.util
import json
import secrets
import shutil
import signal
import sys
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from tradespan.settings import ReadSettings, read_settings

if TYPE_CHECKING:
    from tradespan.backends import Backend
    from tradespan.cli.pipeline import ExamplePipeline
    from tradespan.report.figures import Report

_PASSED_ON = {  # flags of run.py: what they say here
    "interval-ms": ("MS", "milliseconds between two evaluations of the model"),
    "model-latency-ms": ("MS", "time the language model takes for an answer"),
    "model-error-rate": ("SHARE", "share of its answers that are errors, 0 to 1"),
    "exchange-error-rate": ("SHARE", "share of its requests that the exchange fails, 0 to 1"),
    "exchange-latency-ms": ("MS", "time the exchange takes for an order"),
    "exchange-reject-rate": ("SHARE", "share of the orders that it rejects, 0 to 1"),
    "executor-pause-ms": ("MS", "pause of the executor"),
    "redis": ("URL", "a Redis of yours instead of the embedded one"),
    "database": ("URL", "a PostgreSQL of yours instead of SQLite"),
    "services": ("DIR", "other services: unchanged_services import nothing of tradespan"),
    "instrument": ("NAMES", "only these services, as in a partial roll-out: risk,orchestrator"),
}
_NEEDED = ("fakeredis", "fastapi", "httpx", "numpy", "redis", "requests", "uvicorn")
_ALL_KEPT = ("", "always_on", "parentbased_always_on")
_MOST = 5000  # signals whose spans the embedded backend keeps all
_PATIENCE_S = 30.0
_SETTLE_S = 15.0


class MissingExtraError(Exception):
    """The demo's own dependencies are not installed."""

    hint = "pip install 'tradespan[demo]'"


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the parser of `tradespan demo`."""
    parser = subparsers.add_parser(
        "demo",
        help="run five services and follow every signal from the model to the fill",
        description="Start the example pipeline (five services, real market data), follow every "
        "signal, and print where its time went. Exit status 0 only when something was filled and "
        "nothing is pending, lost or broken.",
    )
    parser.add_argument("--signals", type=_count, default=60, metavar="N", help="default 60")
    parser.add_argument(
        "--lab",
        action="store_true",
        help="send through the real Collector, read back from Prometheus, Jaeger and Loki",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    parser.add_argument("--verbose", action="store_true", help="show what the services print")
    group = parser.add_argument_group("the pipeline")
    for flag, (metavar, text) in _PASSED_ON.items():
        group.add_argument(f"--{flag}", type=_TYPES.get(metavar, str), metavar=metavar, help=text)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the demo. Returns 0 only when something was filled and nothing is amiss."""
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise MissingExtraError(f"the demo needs {', '.join(missing)}")
    # All of them now: Ctrl-C inside an import would end Python by the signal, without status 130.
    from tradespan.cli.pipeline import ExamplePipeline, environment
    from tradespan.cli.progress import Progress  # noqa: F401
    from tradespan.report import figures, table, waterfall  # noqa: F401

    settings = read_settings()
    namespace = f"demo-{secrets.token_hex(4)}"
    began = time.monotonic()
    with ExitStack() as stack:
        stack.enter_context(_terminated_as_interrupted())
        endpoint, backend = _backend(stack, settings, lab=arguments.lab)
        environ = environment(settings.environ, endpoint=endpoint, namespace=namespace)
        _say(f"starting five services, read by the {backend.name} backend ...")
        pipeline = stack.enter_context(
            ExamplePipeline(_flags(arguments), environ, verbose=arguments.verbose)
        )
        services = pipeline.wait_until_ready()["services"]
        _say(f"{len(services)} services are ready after {time.monotonic() - began:.1f} s")
        patience = _PATIENCE_S + 10 * _slowness(arguments)
        _watch(backend, pipeline, namespace, arguments.signals, patience)
        if status := pipeline.stop():
            _say(f"warning: the pipeline ended with status {status}, so it may have lost something")
        sampled = _is_sampled(settings)
        report = _settled(backend, namespace, arguments.signals, services, sampled=sampled)
    _print(report, as_json=arguments.json, seconds=time.monotonic() - began)
    if not report.is_good:
        _say("hint: not all went well; --verbose shows what the services print")
    return 0 if report.is_good else 1


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= _MOST:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of signals (1 to {_MOST})")
    return int(text)


def _milliseconds(text: str) -> float:
    number = float(text)
    if not 0 <= number <= 600_000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time from 0 to 600000 ms")
    return number


def _share(text: str) -> float:
    number = float(text)
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a share from 0 to 1")
    return number


_milliseconds.__name__, _share.__name__ = "milliseconds", "share"  # argparse names them so
_TYPES: dict[str, Callable[[str], object]] = {"MS": _milliseconds, "SHARE": _share}


def _flags(arguments: argparse.Namespace) -> list[str]:
    flags = ["--signals", str(arguments.signals)]
    if arguments.verbose:
        flags.append("--verbose")
    for flag in _PASSED_ON:
        value = getattr(arguments, flag.replace("-", "_"))
        if value is not None:
            flags += [f"--{flag}", str(value)]
    return flags


def _slowness(arguments: argparse.Namespace) -> float:
    """Seconds that the flags ask for, all together."""
    flags = (flag.replace("-", "_") for flag in _PASSED_ON if flag.endswith("-ms"))
    return sum(getattr(arguments, flag) or 0.0 for flag in flags) / 1000


def _is_sampled(settings: ReadSettings) -> bool:
    return settings.environ.get("OTEL_TRACES_SAMPLER", "").strip() not in _ALL_KEPT


def _backend(stack: ExitStack, settings: ReadSettings, *, lab: bool) -> tuple[str, Backend]:
    """Where the services send their telemetry to, and what it is read back from."""
    if not lab:
        from tradespan.backends.embedded import EmbeddedBackend

        embedded = stack.enter_context(EmbeddedBackend())
        return embedded.endpoint, embedded
    from tradespan import lab as programs
    from tradespan.backends.lab import LabBackend

    running = programs.read(settings)
    if running is not None and not running.ended():
        at = running.addresses
    else:
        _say("no lab is running: starting one for this run ...")
        own = programs.Stack(settings, environment=programs.FAST, report=_say)
        at = stack.enter_context(own).addresses
    return at.otlp_http, LabBackend(prometheus=at.prometheus, jaeger=at.jaeger, loki=at.loki)


def _watch(
    backend: Backend, pipeline: ExamplePipeline, namespace: str, signals: int, patience: float
) -> None:
    """Show progress until every journey has ended, or none has for `patience` seconds."""
    from tradespan.cli.progress import Progress
    from tradespan.report.figures import ended

    progress = Progress(signals, sys.stderr)
    moved, last = time.monotonic(), -1
    while True:
        counts = ended(backend, namespace)
        done = sum(counts.values())
        progress.show(counts)
        if done != last:
            moved, last = time.monotonic(), done
        if done >= signals or time.monotonic() - moved > patience:
            break
        pipeline.check()
        time.sleep(0.2)
    progress.finish(counts)


def _settled(
    backend: Backend, namespace: str, signals: int, services: Collection[str], *, sampled: bool
) -> Report:
    """The report, read until it no longer changes: real backends show what they took in later."""
    from tradespan.report.figures import read_report

    facts: dict[str, Any] = {"signals": signals, "sampled": sampled, "expected": services}
    report = read_report(backend, namespace, **facts)
    if backend.name == "embedded":
        return report
    deadline = time.monotonic() + _SETTLE_S
    while time.monotonic() < deadline:
        time.sleep(1.0)
        before = report
        report = read_report(backend, namespace, **facts)
        if report.is_good and report == before:
            break
    return report


def _print(report: Report, *, as_json: bool, seconds: float) -> None:
    from tradespan.report.table import table
    from tradespan.report.waterfall import ASCII, Style, waterfall

    if as_json:
        print(json.dumps(report.as_dict(), indent=2))
        return
    fancy = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    print(
        f"\n{report.signals} signals through {len(report.services)} services in {seconds:.0f} s, "
        f"read from the {report.backend} backend\n"
    )
    print(table(report))
    if report.median is not None:
        columns = shutil.get_terminal_size((120, 24)).columns
        print(f"\n{waterfall(report.median, Style() if fancy else ASCII, columns=columns)}")


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """SIGTERM unwinds like Ctrl-C, so that no service outlives the demo."""

    def stop(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
