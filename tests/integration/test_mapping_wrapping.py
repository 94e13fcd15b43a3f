"""Services as their users wrote them, mapped by a file: real processes, nothing changed."""

from __future__ import annotations

import json
import os
import sys
import textwrap
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .support.collector import Collector
from .support.services import BIN, answers, free_port, run, service

MAPPED = Path(__file__).parent / "support" / "mapped"


@pytest.fixture
def collector() -> Iterator[Collector]:
    """Receives what the services of the test send."""
    with Collector() as one:
        yield one


def environment(collector: Collector, folder: Path, mapping: str) -> dict[str, str]:
    """The environment of a service that is mapped as `svc`."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "tradespan.yaml"
    file.write_text(
        "version: 1\nservices:\n  svc:\n" + textwrap.indent(textwrap.dedent(mapping), "    ")
    )
    return {
        "PYTHONPATH": os.pathsep.join([str(MAPPED), os.environ.get("PYTHONPATH", "")]),
        "OTEL_SERVICE_NAME": "svc",
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
        "OTEL_BSP_SCHEDULE_DELAY": "200",
        "OTEL_METRIC_EXPORT_INTERVAL": "500",
        "TRADESPAN_CONFIG": str(file),
    }


def script(name: str) -> list[str]:
    return [sys.executable, str(MAPPED / name)]


def ends(collector: Collector) -> dict[str, Counter[str]]:
    """How often each stage ended, by outcome, as the metrics have it."""
    found: dict[str, Counter[str]] = {}
    by = ("stage", "outcome")
    for (stage, outcome), count in collector.total("trading.stage.duration", by=by).items():
        if count:
            found.setdefault(stage, Counter())[outcome] += count
    return found


def test_wrapped_functions_look_and_act_as_before(collector: Collector, tmp_path: Path) -> None:
    """Signature, docstring, kind, pickling, wraps chains and errors: the same to a letter."""
    env = environment(
        collector,
        tmp_path,
        """
        stages:
          risk:
            run:
              - desk:plain
              - desk:coroutine
              - desk:generator
              - desk:async_generator
              - desk:chained
              - desk:Order.check
              - desk:Order.fee
              - desk:Order.of
        """,
    )
    bare = run(script("faces.py"), tmp_path / "bare", env, instrumented=False)
    mapped = run(script("faces.py"), tmp_path / "mapped", env)
    assert bare[0] == 0, bare[2]
    assert mapped[:2] == bare[:2], mapped[2]
    assert ends(collector) == {"risk": {"ok": 12, "error": 1}}


SERVERS = {
    "uvicorn": [str(BIN / "uvicorn"), "web:app", "--port", "{port}"],
    "uvicorn, two workers": [
        str(BIN / "uvicorn"), "web:app", "--port", "{port}", "--workers", "2",
        "--timeout-worker-healthcheck", "60",
    ],
    "python -m uvicorn": [sys.executable, "-m", "uvicorn", "web:app", "--port", "{port}"],
    "gunicorn": [
        str(BIN / "gunicorn"), "web:app", "-b", "127.0.0.1:{port}", "-w", "2",
        "-k", "uvicorn_worker.UvicornWorker",
    ],
    "gunicorn, preloaded": [
        str(BIN / "gunicorn"), "web:app", "-b", "127.0.0.1:{port}", "--preload",
        "-k", "uvicorn_worker.UvicornWorker",
    ],
}  # fmt: skip


def post(url: str, body: dict[str, Any], **headers: str) -> Any:
    headers["content-type"] = "application/json"
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


@pytest.mark.parametrize("server", SERVERS)
def test_routes_and_dependencies_under_a_server(
    collector: Collector, tmp_path: Path, server: str
) -> None:
    """FastAPI injects as before, and every request is a stage, whichever worker answers it."""
    env = environment(
        collector,
        tmp_path,
        """
        stages:
          risk:
            route: POST /orders/{venue}/assess
            set: {symbol: args.order.symbol, venue: args.venue, decision: response.decision}
            map: {decision: {APPROVE: approved, REJECT: rejected}}
            outcome: {rejected: response.decision == REJECT}
          judging:
            run: web:judge
            outcome: {rejected: result is false}
        """,
    )
    port = free_port()
    command = [word.format(port=port) for word in SERVERS[server]]
    with service(command, tmp_path, env) as one:
        one.until(lambda: answers(port), "listening")
        for size in range(10):
            found = post(
                f"http://127.0.0.1:{port}/orders/coinbase/assess?limit=7",
                {"symbol": "BTC-USD", "size": size},
                **{"x-desk": "two"},
            )
            found.pop("pid")
            decision = "APPROVE" if size <= 7 else "REJECT"
            assert found == {"decision": decision, "venue": "coinbase", "desk": "two"}
        one.stop()
    assert ends(collector)["risk"] == {"ok": 8, "rejected": 2}
    spans = [s for s in collector.all_spans if s.stage == "risk"]
    assert {s.attributes["trading.venue"] for s in spans} == {"coinbase"}
    assert len(spans) == 10


def test_a_dependency_that_is_mapped_by_its_name(collector: Collector, tmp_path: Path) -> None:
    """`Depends(judge)` takes the wrapped function, whose parameters FastAPI still reads."""
    env = environment(
        collector, tmp_path, "stages: {risk: {run: web:Rules.__init__, set: {limit: args.limit}}}"
    )
    port = free_port()
    command = [str(BIN / "uvicorn"), "web:app", "--port", str(port)]
    with service(command, tmp_path, env) as one:
        one.until(lambda: answers(port), "listening")
        url = f"http://127.0.0.1:{port}/orders/x/assess?limit=1"
        assert post(url, {"symbol": "A", "size": 2})["decision"] == "REJECT"
        one.stop()
    (span,) = [s for s in collector.all_spans if s.stage == "risk"]
    assert float(str(span.attributes["limit"])) == 1


def test_spawned_processes(collector: Collector, tmp_path: Path) -> None:
    """A script's functions and a module's are stages in the children too."""
    env = environment(
        collector,
        tmp_path,
        """
        stages:
          risk: {run: "__main__:work"}
          validation: {run: "desk:plain"}
        """,
    )
    status, out, err = run(script("spawned.py"), tmp_path, env)
    assert (status, out) == (0, "[0, 1, 4, 9, 16, 25, 36, 49]\n"), err
    assert ends(collector) == {"risk": {"ok": 8}, "validation": {"ok": 8}}


def test_a_flat_script(collector: Collector, tmp_path: Path) -> None:
    """Its loop, its daemon thread, its event loop and its classes, defined as it runs."""
    env = environment(
        collector,
        tmp_path,
        """
        stages:
          signal:
            run: "__main__:evaluate"
            set: {symbol: args.candle.symbol, signal_type: result.action}
            outcome: {skipped: result.action == HOLD}
          deciding: {run: "__main__:Bot.decide"}
          settling: {run: "__main__:settle"}
        calls: {orchestrator_cycle: "__main__:beat"}
        """,
    )
    bare = run(script("flat.py"), tmp_path / "bare", env, instrumented=False)
    status, out, err = run(script("flat.py"), tmp_path / "mapped", env)
    assert (status, out) == bare[:2], err
    assert ends(collector) == {
        "signal": {"ok": 20},
        "deciding": {"ok": 20},
        "settling": {"ok": 5},
    }
    assert sum(collector.total("orchestrator_cycle_duration").values()) >= 2


def test_an_endless_script(collector: Collector, tmp_path: Path) -> None:
    """A loop that never leaves the module body is mapped from its first turn."""
    env = environment(collector, tmp_path, "stages: {signal: {run: '__main__:cycle'}}")
    with service(script("endless.py"), tmp_path, env) as one:
        one.until(lambda: one.stdout.count("cycle") >= 10, "cycling")
        one.stop()
        cycles = one.stdout.count("cycle")
    assert ends(collector)["signal"].total() == cycles


WRONG = [
    ("__main__:evaluat", "__main__:evaluat (the script has not defined it yet)"),
    ("__main__:Bot.decyde", "Bot has no 'decyde'"),
    ("json:dump_all", "module json has no 'dump_all'"),
    ("datetime:datetime.now", "is an immutable type of C or Cython"),
    ("no_such_module:work", "no_such_module:work (not imported yet)"),
]


def test_what_is_wrong_is_named_and_the_service_runs_on(
    collector: Collector, tmp_path: Path
) -> None:
    """One line for the targets, one for each value and rule; results and exit as ever."""
    targets = "".join(f"\n      - {target}" for target, _ in WRONG)
    env = environment(
        collector,
        tmp_path,
        f"""
        stages:
          risk:
            run:{textwrap.indent(targets, "        ")}
          signal:
            run: "__main__:evaluate"
            set:
              symbol: args.candle
              price: result.prise
              around: args.candle.around[0].around
            outcome: {{rejected: result.action > 5}}
        """,
    )
    source = (MAPPED / "flat.py").read_text() + "import json\ntime.sleep(7)\n"
    (tmp_path / "flat.py").write_text(source)
    status, out, err = run([sys.executable, str(tmp_path / "flat.py")], tmp_path, env)
    assert status == 0, err
    assert "evaluated 20" in out
    (summary,) = [line for line in err.splitlines() if "targets wrapped" in line]
    assert "1 of 6 targets wrapped" in summary
    for _, why in WRONG:
        assert why in summary
    for place in (
        "services.svc.stages.signal.set.symbol: args.candle: is a Candle, not a text or a number",
        "services.svc.stages.signal.set.around: args.candle.around[0].around: is a list",
        "services.svc.stages.signal.outcome: 'result.action > 5' compares a text with a number",
    ):
        assert err.count(place) == 1, err
    assert ends(collector)["signal"] == {"ok": 20}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("version: 1\nservices: {svc: {stage: {}}}\n", "'stage' is no key here; allowed: stages"),
        ("version: 1\nservices: [}\n", "no YAML"),
    ],
)
def test_a_wrong_file_is_loud_and_the_service_runs_on(
    collector: Collector, tmp_path: Path, content: str, said: str
) -> None:
    """The error names file and line; nothing is mapped, and the service is as it was."""
    env = environment(collector, tmp_path, "stages: {signal: {run: '__main__:evaluate'}}")
    (tmp_path / "tradespan.yaml").write_text(content)
    status, out, err = run(script("flat.py"), tmp_path / "run", env)
    assert (status, "evaluated 20" in out) == (0, True)
    assert f"{tmp_path / 'tradespan.yaml'}:2: " in err
    assert said in err
    assert not ends(collector)


def test_off_wraps_nothing(collector: Collector, tmp_path: Path) -> None:
    """TRADESPAN=off: no wrapper stands anywhere, nothing is sent, not even the file is read."""
    env = environment(collector, tmp_path, "stages: {risk: {run: desk:plain}}")
    (tmp_path / "tradespan.yaml").write_text("no: [file")
    program = "import desk, httpx; print(hasattr(desk.plain, '__wrapped__'), desk.plain('A'))"
    status, out, err = run(
        [sys.executable, "-c", program], tmp_path / "run", {**env, "TRADESPAN": "off"}
    )
    assert (status, out, err) == (0, "False A 1.0 () x []\n", "")
    assert not collector.all_spans
    assert not ends(collector)
