"""Which file applies, what is said at start and later, and what `off` means."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tradespan import settings as setting
from tradespan.handoffs import by_key
from tradespan.mapping import start
from tradespan.settings import ConfigError, Settings


@pytest.fixture
def at_exit(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What would be said at the end of the process, to be said by the test."""
    waiting: list[Any] = []
    monkeypatch.setattr(start, "atexit", SimpleNamespace(register=waiting.append))
    return waiting


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch, at_exit: list[Any]) -> list[Any]:
    """What would be said later, to be said by the test."""
    waiting: list[Any] = []
    monkeypatch.setattr(start, "_later", lambda _, tell: waiting.append(tell))
    monkeypatch.setattr(start, "current", None)
    return waiting


def test_a_service_that_still_imports_is_not_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a slow machine the line waits for what is imported, and not for ever."""
    timers: list[tuple[float, Any]] = []

    class Timer:
        def __init__(self, seconds: float, look: Any) -> None:
            timers.append((seconds, look))

        def start(self) -> None:
            """Never by itself."""

    monkeypatch.setattr(start.threading, "Timer", Timer)
    told: list[str] = []
    start._later(5.0, lambda: told.append("summary"))
    timers[-1][1]()
    monkeypatch.setitem(sys.modules, "imported_late", start)
    timers[-1][1]()
    assert not told
    timers[-1][1]()
    assert told == ["summary"]
    assert [seconds for seconds, _ in timers] == [4.0, 1.0, 1.0]
    start._later(1.0, lambda: told.append("at last"), loaded=1, looks=0)
    timers[-1][1]()
    assert told[1:] == ["at last"]


def write(svc: Any, tmp_path: Path, mapping: str = "") -> Path:
    file = tmp_path / "tradespan.yaml"
    text = textwrap.dedent(mapping).replace("mod:", f"{svc.name}:")
    file.write_text("version: 1\n" + text)
    return file


def test_the_named_file_wins(tmp_path: Path) -> None:
    """TRADESPAN_CONFIG; one that is not there is an error, not another file."""
    file = tmp_path / "tradespan.yaml"
    file.write_text("version: 1\n")
    assert start.find(str(file), Path("/")) == file
    with pytest.raises(ConfigError, match="TRADESPAN_CONFIG"):
        start.find(str(tmp_path / "other.yaml"), tmp_path)


def test_the_nearest_file_upwards(tmp_path: Path) -> None:
    """From the working folder up; none is no error."""
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "tradespan.yaml").write_text("version: 1\n")
    assert start.find("", tmp_path / "a" / "b") == tmp_path / "tradespan.yaml"
    (tmp_path / "a" / "tradespan.yaml").write_text("version: 1\n")
    assert start.find("", tmp_path / "a" / "b") == tmp_path / "a" / "tradespan.yaml"


def test_without_a_file_nothing_happens(
    telemetry: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, later: list[Any]
) -> None:
    """No file, no word."""
    monkeypatch.setattr(start, "find", lambda *_: None)
    assert start.start("", "svc", {}) is None
    assert not later


def test_one_summary_line(svc: Any, tmp_path: Path, later: list[Any], caplog: Any) -> None:
    """How many targets are wrapped, and each that is not with its reason; a warning then."""
    caplog.set_level(logging.INFO, "tradespan")
    source = "def work(): ...\ndef idle(): ...\n"
    mapping = """
        services:
          svc:
            stages:
              risk: {run: ["mod:work", "mod:idle", "mod:wrok", "never_there:x"]}
        """
    record = start.start(str(write(svc, tmp_path, mapping)), "svc", {})
    module = svc.load(source)
    module.work()
    summary, silent = later
    summary()
    (line,) = [r for r in caplog.records if "targets wrapped" in r.getMessage()]
    assert line.levelno == logging.WARNING
    assert line.getMessage() == (
        f"tradespan.yaml: svc: 2 of 4 targets wrapped; "
        f"waiting: never_there:x (not imported yet); "
        f"not wrapped: {svc.name}:wrok (module {svc.name} has no 'wrok')"
    )
    silent()
    assert caplog.records[-1].getMessage() == (
        f"tradespan.yaml: svc: never fired in the first minute: {svc.name}:idle"
    )
    assert start.current is record
    assert record is not None
    assert record.facts()[0] == {
        "place": "services.svc.stages.risk",
        "target": f"{svc.name}:work",
        "state": "wrapped",
        "why": "",
        "fired": 1,
    }


def test_a_typo_in_a_path_is_said(svc: Any, tmp_path: Path, later: list[Any], caplog: Any) -> None:
    """A path that led nowhere in every call is named; one that did so once is not."""
    mapping = """
        services:
          svc:
            stages:
              risk: {run: "mod:work", set: {score: result.scroe, symbol: result.symbol}}
        """
    start.start(str(write(svc, tmp_path, mapping)), "svc", {})
    module = svc.load("def work(result): return result\n")
    for result in ({"score": 1, "symbol": "A"}, {"score": 1}):
        module.work(result)
    later[1]()
    assert [r.getMessage() for r in caplog.records] == [
        "tradespan.yaml: services.svc.stages.risk.set.score: result.scroe led nowhere in 2 calls"
    ]


def test_all_well_is_information(svc: Any, tmp_path: Path, later: list[Any], caplog: Any) -> None:
    """Nothing to mend, no warning; nothing at all once everything has fired."""
    caplog.set_level(logging.INFO, "tradespan")
    mapping = "services: {svc: {stages: {risk: {run: 'mod:work'}}}}"
    start.start(str(write(svc, tmp_path, mapping)), "svc", {})
    svc.load("def work(): ...\n").work()
    for tell in later:
        tell()
    (line,) = caplog.records
    assert line.levelno == logging.INFO
    assert line.getMessage() == "tradespan.yaml: svc: 1 of 1 targets wrapped"


SHORT = """
    services:
      svc:
        stages:
          risk: {run: ["mod:work", "mod:idle", "mod:wrok"], set: {score: result.scroe}}
    """
NOT_ALL = "2 of 3 targets wrapped; not wrapped: mod:wrok (module mod has no 'wrok')"
SILENT = (
    "never fired: mod:idle; services.svc.stages.risk.set.score: result.scroe led nowhere in 1 calls"
)


@pytest.mark.parametrize(
    ("told", "expected"), [(0, f"{NOT_ALL}; {SILENT}"), (1, SILENT), (2, None)]
)
def test_a_short_job_says_at_its_end_what_it_has_not_said(
    svc: Any,
    tmp_path: Path,
    later: list[Any],
    at_exit: list[Any],
    caplog: Any,
    told: int,
    expected: str | None,
) -> None:
    """In one line; nothing twice."""
    caplog.set_level(logging.INFO, "tradespan")
    start.start(str(write(svc, tmp_path, SHORT)), "svc", {})
    svc.load("def work(): return {}\ndef idle(): ...\n").work()
    for tell in later[:told]:
        tell()
    caplog.clear()
    (tell,) = at_exit
    tell()
    said = [r.getMessage().replace(svc.name, "mod") for r in caplog.records]
    assert said == ([f"tradespan.yaml: svc: {expected}"] if expected else [])
    assert all(r.levelno == logging.WARNING for r in caplog.records)


def test_a_short_job_in_which_all_is_well(
    svc: Any, tmp_path: Path, later: list[Any], at_exit: list[Any], caplog: Any
) -> None:
    """Its line is information, as it would have been after a while."""
    caplog.set_level(logging.INFO, "tradespan")
    mapping = "services: {svc: {stages: {risk: {run: 'mod:work'}}}}"
    start.start(str(write(svc, tmp_path, mapping)), "svc", {})
    svc.load("def work(): ...\n").work()
    at_exit[0]()
    (line,) = caplog.records
    assert line.levelno == logging.INFO
    assert line.getMessage() == "tradespan.yaml: svc: 1 of 1 targets wrapped"


JOB = """
    import multiprocessing, os, sys
    def work(): ...
    def idle(): ...
    if __name__ == "__main__":
        work()
        child = multiprocessing.get_context(sys.argv[1]).Process(target=idle)
        child.start()
        child.join()
        if (forked := os.fork()) == 0:
            sys.exit()
        os.waitpid(forked, 0)
    """


@pytest.mark.parametrize("kind", ["fork", "spawn"])
def test_the_children_of_a_job_say_nothing_at_their_end(tmp_path: Path, kind: str) -> None:
    """A pool of processes is one job, and one line."""
    mapping = 'services: {job: {stages: {risk: {run: ["__main__:work", "never_there:x"]}}}}'
    (tmp_path / "tradespan.yaml").write_text(f"version: 1\n{mapping}\n")
    (tmp_path / "job.py").write_text(textwrap.dedent(JOB))
    env = {k: v for k, v in os.environ.items() if not k.startswith(("OTEL_", "TRADESPAN_"))}
    env |= {"OTEL_SERVICE_NAME": "job", "TRADESPAN_MODE": "paper", "OTEL_TRACES_EXPORTER": "none"}
    env |= {"OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none"}
    done = subprocess.run(
        [Path(sys.executable).parent / "opentelemetry-instrument", sys.executable, "job.py", kind],
        cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert done.stderr.splitlines() == [
        "tradespan.yaml: job: 1 of 2 targets wrapped; waiting: never_there:x (not imported yet)"
    ]


def test_a_service_that_the_file_does_not_have(
    svc: Any, tmp_path: Path, later: list[Any], caplog: Any
) -> None:
    """One warning with those it has."""
    file = write(svc, tmp_path, "services: {a: {}, b: {}}")
    start.start(str(file), "svc", {})
    assert "maps no service 'svc' (OTEL_SERVICE_NAME): it has a, b" in caplog.text


def test_what_the_file_says_of_the_pipeline(
    svc: Any, tmp_path: Path, later: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Name, budgets, limits and hosts, of this service; the environment's word wins."""
    given = Settings(budgets={"risk": 9.0}, propagate_to=("a",), stage_spans={"*": 100, "risk": 7})
    monkeypatch.setattr(setting, "current", given)
    file = write(
        svc,
        tmp_path,
        """
        pipeline: {name: crypto, stages: {signal: 150ms, risk: 20ms}, budget: 3s}
        propagate: {to: ["*.Desk.svc"], never: ["api.*"]}
        services:
          svc: {stages: {signal: {run: "mod:work", budget: 1s, spans: 5}}}
          other: {stages: {risk: {run: "mod:work", spans: 5}}}
          last: {stages: {signal: {run: "mod:work", budget: 2s, spans: 1}}}
        """,
    )
    start.start(str(file), "svc", {})
    now = setting.current
    assert now.pipeline == "crypto"
    assert now.budgets == {"signal": 1.0, "risk": 9.0, "total": 3.0}
    assert now.stage_spans == {"signal": 5, "risk": 7, "*": 100}
    assert now.propagate_to == ("a", "*.desk.svc")
    assert now.propagate_never == ("api.*",)


def test_a_relative_store_is_beside_the_file(
    svc: Any, tmp_path: Path, later: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever the service works, and wherever it goes: all services share it."""
    mapping = """
        handoffs: {rows: {key: rows, store: "sqlite:///rows.sqlite"}, more: {key: more}}
        services:
          svc:
            stages: {signal: {run: "mod:work", begins: {}}}
            send: {rows: {after: "mod:work", key: result}, more: {after: "mod:work", key: result}}
        """
    folder = tmp_path / "svc"
    (folder / "deeper").mkdir(parents=True)
    write(svc, tmp_path, mapping)
    monkeypatch.chdir(folder)
    start.start("../tradespan.yaml", "svc", {})
    module = svc.load("def work(): return 7\n")
    monkeypatch.chdir(folder / "deeper")
    module.work()
    by_key.flush(20)  # of all senders, other tests' with stores that fail included
    made = {path.relative_to(tmp_path) for path in tmp_path.rglob("*.sqlite")}
    assert made == {Path("rows.sqlite"), Path("tradespan-handoffs.sqlite")}


def test_a_store_that_cannot_be_used(svc: Any, tmp_path: Path, later: list[Any]) -> None:
    """Said at start, with its hint."""
    file = write(
        svc,
        tmp_path,
        """
        handoffs: {rows: {key: rows, store: "ftp://x"}}
        services: {svc: {send: {rows: {after: "mod:work", key: result}}}}
        """,
    )
    with pytest.raises(ConfigError, match="ftp"):
        start.start(str(file), "svc", {})
