"""`tradespan check`: every fault, every hand-off, every target."""

from __future__ import annotations

import json
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from tradespan.bundle import path
from tradespan.cli import main
from tradespan.cli.check.arguments import check_arguments
from tradespan.cli.check.faults import Page
from tradespan.mapping.config import Count, Send, Value

SERVICES = """
services:
  a: {stages: {signal: {run: "aa:work"}}}
  b: {stages: {execution: {run: "bb:work"}}}
"""


@pytest.fixture
def check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Any:
    """Writes a file, checks it there, and returns status, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delenv("TRADESPAN_CONFIG", raising=False)

    def run(text: str | None, *words: str) -> tuple[int, str, str]:
        if text is not None:
            body = textwrap.dedent(text)
            if not body.lstrip().startswith("version"):
                body = "version: 1\n" + body
            (tmp_path / "tradespan.yaml").write_text(body)
        status = main(["check", *words])
        out, err = capsys.readouterr()
        for name in [name for name in sys.modules if name.endswith("_desk")]:
            del sys.modules[name]
        return status, out, err

    return run


def test_help_has_an_example_and_says_that_modules_are_imported(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What --import does to the user's own code stands in the help."""
    assert main(["check", "--help"]) == 0
    text = capsys.readouterr().out
    assert "tradespan check --import" in text
    assert "imports the modules that the file names, so their top-level code runs" in text


def test_nothing_wrong(check: Any) -> None:
    """Status 0, one line."""
    assert check(SERVICES)[:2] == (0, "tradespan.yaml: nothing wrong\n".replace(
        "tradespan.yaml", str(Path.cwd() / "tradespan.yaml")))  # fmt: skip


def test_the_shipped_example(check: Any) -> None:
    """The file of the unchanged services has no fault."""
    status, out, _ = check(None, str(path("examples") / "unchanged_services" / "tradespan.yaml"))
    assert status == 0, out


def test_the_file_that_services_would_take(
    check: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The nearest one upwards; TRADESPAN_CONFIG first; none at all is wrong usage."""
    (tmp_path / "deep" / "er").mkdir(parents=True)
    check(SERVICES)
    monkeypatch.chdir(tmp_path / "deep" / "er")
    assert check(None)[0] == 0
    monkeypatch.setenv("TRADESPAN_CONFIG", str(tmp_path / "nothing.yaml"))
    status, out, err = check(None)
    assert (status, out) == (2, "")
    assert "hint: name the file" in err


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["--service", "c"], "has no service 'c'"),
        (["--script", "a=nothing.py"], "there is no such file"),
        (["--script", "c=tradespan.yaml"], "has no service 'c'"),
        (["nothing.yaml"], "there is no nothing.yaml"),
    ],
)
def test_wrong_usage(check: Any, words: list[str], what: str) -> None:
    """Status 2, the reason and a hint on stderr, nothing on stdout."""
    status, out, err = check(SERVICES, *words)
    assert (status, out) == (2, "")
    assert what in err
    assert "hint: " in err


FAULTS = [
    (
        "deployment: {where: containers, collector: 'http://localhost:4318'}",
        "error: deployment.collector: http://localhost:4318 is loopback",
    ),
    ("deployment: {where: hosts}", "error: deployment.where: http://127.0.0.1:4318 is loopback"),
    ("deployment: {metrics: [otlp, scrape]}", "error: deployment.metrics: metrics by otlp and by"),
    (
        "deployment: {where: hosts, collector: 'http://otel:4318'}\n"
        "handoffs: {rows: {key: rows, store: 'sqlite:////tmp/rows.sqlite'}}",
        "error: handoffs.rows.store: sqlite:////tmp/rows.sqlite is local",
    ),
    (
        "deployment: {where: containers, collector: 'http://otel:4318'}\n"
        "handoffs: {rows: {key: rows, store: 'redis://:secret@localhost:6379/0'}}",
        "error: handoffs.rows.store: redis://***@localhost:6379/0 is local",
    ),
    (
        "deployment: {where: containers, collector: 'http://otel:4318'}\n"
        "handoffs: {rows: {key: rows}}",
        "error: handoffs.rows: no store is named",
    ),
    (
        "handoffs: {rows: {key: rows, store: '${NOWHERE_SET}'}}",
        "error: handoffs.rows.store: ${NOWHERE_SET} is not set here",
    ),
    (
        "pipeline: {stages: {signal: 1s, execution: 1s, risk: 1s}}",
        "warning: pipeline.stages.risk: has a budget, and no service maps it",
    ),
    (
        "pipeline: {stages: {signal: 2s, execution: 2s}, budget: 3s}",
        "warning: pipeline.budget: 3 s is less than its stages together (4 s)",
    ),
    ("handoffs: {rows: {key: rows}}", "warning: handoffs.rows: no service sends or receives it"),
]


@pytest.mark.parametrize(("part", "said"), FAULTS)
def test_what_cannot_work_where_it_will_run(check: Any, part: str, said: str) -> None:
    """Each is named with file, line, place, value and a hint; errors are status 1."""
    status, out, _ = check(part + SERVICES)
    assert said in out
    assert status == ("error" in out)
    assert "secret" not in out


@pytest.mark.parametrize(
    ("handoff", "a", "b", "said"),
    [
        ("key: rows", "", "receive", "error: handoffs.rows: is received by b and sent by nobody"),
        ("key: rows", "send", "", "warning: handoffs.rows: is sent by a and received by nobody"),
        ("key: rows", "send", "receive", "nothing wrong"),
        (
            "redis_stream: rows, inject: true",
            "",
            "",
            "warning: handoffs.rows: is injected and received by nobody",
        ),
        (
            "redis_stream: rows",
            "",
            "receive",
            "warning: handoffs.rows.inject: is received by b, but nothing is added",
        ),
        ("redis_stream: rows, inject: true", "", "receive", "nothing wrong"),
        (
            "redis_stream: rows, group: g, owner: a, inject: true",
            "",
            "receive",
            "error: handoffs.rows.owner: 'a' is no consumer of it; its consumers: b",
        ),
        ("carrier: true", "", "receive", "nothing wrong"),
    ],
)
def test_every_send_is_matched_with_a_receive(
    check: Any, handoff: str, a: str, b: str, said: str
) -> None:
    """By key and by stream."""
    send = ", send: {rows: {after: 'aa:save', key: result}}" if a else ""
    receive = ", receive: {rows: args.row}" if b else ""
    status, out, _ = check(
        f"""
        handoffs: {{rows: {{{handoff}}}}}
        services:
          a: {{stages: {{signal: {{run: "aa:work"}}}}{send}}}
          b: {{stages: {{execution: {{run: "bb:work"{receive}}}}}}}
        """
    )
    assert said in out
    assert status == ("error" in said)


@pytest.mark.parametrize(
    ("stages", "said"),
    [
        ("signl: {run: 'a:b'}", "'signl' is none of the pipeline's stages (signal, execution)"),
        ("signl: {run: 'a:b'}", "hint: did you mean signal?"),
        ("validaton: {run: 'a:b'}", "hint: did you mean validation?"),
        ("hedging: {run: 'a:b'}", "hint: add it to pipeline.stages with its budget"),
        ("risk: {run: 'a:b'}", "note: services.a.stages.risk: 'risk' is none of the pipeline's"),
        ("signal: {run: 'a:b', set: {symbl: result.x}}", "'symbl' is known to no metric"),
        ("signal: {run: 'a:b', set: {symbl: result.x}}", "hint: did you mean symbol?"),
        ("signal: {run: 'a:b', set: {symbol: self.x}}", "self.x: a function has no self"),
        ("signal: {run: 'a:b', map: {decision: {A: b}}}", "set gives no 'decision'"),
        (
            "signal: {run: 'a:b', set: {decision: result}, map: {decision: {A: aproved}}}",
            "'aproved' is counted as other; decision is one of approved",
        ),
        ("execution: {run: 'a:b'}", "no stage begins a journey"),
        ("signal: {run: 'a:b'}", "no stage ends a journey"),
    ],
)
def test_stages_and_values_that_nobody_knows(check: Any, stages: str, said: str) -> None:
    """Held against the pipeline and the catalogue, with what may be meant."""
    _, out, _ = check(
        "pipeline: {stages: {signal: 1s, execution: 1s}}\n"
        f"services: {{a: {{stages: {{{stages}}}}}}}"
    )
    assert said in out


def test_faults_of_the_file_itself(check: Any) -> None:
    """Each with its line, in order."""
    status, out, _ = check("pipeline: {budget: 3}\nservices:\n  a:\n    stages: {risk: {run: x}}\n")
    assert status == 1
    first, second, *rest = [line for line in out.splitlines() if "error:" in line]
    assert "tradespan.yaml:2: error: pipeline.budget: " in first
    assert "tradespan.yaml:5: error: services.a.stages.risk.run.0: 'x' is no target" in second
    assert "2 errors" in out
    assert not rest


@pytest.mark.parametrize(
    ("services", "said"),
    [
        ("&all {a: *all}", "error: services.a: leads back into itself"),
        ("{a: {stages: {risk: {run: 'a:b', set: {x: 2024-99-99}}}}}", "no YAML: '2024-99-99'"),
        (
            "{a: {stages: {risk: }}}",
            "error: services.a.stages.risk: is empty\n  hint: allowed: run",
        ),
        ("{a: {stages: {risk: {run: '${UNSET_MODULE}:b'}}}, b: {}}", "${UNSET_MODULE} is not set"),
    ],
)
def test_files_that_cannot_be_read(check: Any, services: str, said: str) -> None:
    """Each is a fault with its line; none ends the program."""
    status, out, _ = check(f"services: {services}\n")
    assert (status, said in out) == (1, True), out
    assert "tradespan.yaml:2: error:" in out


def test_a_variable_under_an_anchor_is_named_once(check: Any) -> None:
    """However often it is used."""
    _, out, _ = check(
        """
        x-usual: &usual {run: "${UNSET_MODULE}:work"}
        services: {a: {stages: {signal: *usual}}, b: {stages: {execution: *usual}}}
        """
    )
    assert out.count("is not set here") == 1


def test_for_a_program(check: Any) -> None:
    """One JSON object with faults and targets."""
    status, out, _ = check("deployment: {metrics: [otlp, scrape]}" + SERVICES, "--json")
    facts = json.loads(out)
    assert status == 1
    assert facts["ok"] is False
    (fault,) = facts["faults"]
    assert fault == {
        "level": "error",
        "file": facts["file"],
        "line": 2,
        "path": "deployment.metrics",
        "message": "metrics by otlp and by scrape reach one Prometheus twice: every sum doubles",
        "hint": "keep one of them",
    }


def test_one_service_only(check: Any) -> None:
    """Faults of the others are theirs."""
    text = """
        services:
          a: {stages: {signal: {run: "aa:work", set: {x: self.y}}}}
          b: {stages: {execution: {run: "bb:work"}}}
        """
    assert check(text, "--service", "a")[0] == 1
    assert check(text, "--service", "b")[0] == 0


MODULE = """
import functools
from typing import Protocol
print("working")
class Desk:
    limit = 7
    def check(self, symbol): ...
    @staticmethod
    def still(symbol): ...
    async def acheck(self, symbol): ...
    def stream(self): yield 1
class Venue(Protocol):
    def send(self): ...
class PrecisionError(ValueError): ...
def work(symbol, row): ...
def anything(**kwargs): ...
"""
SCRIPT = """
import os
from json import loads
raise SystemExit("it was run")
if True:
    def guarded(row): ...
try:
    import fast
except ImportError:
    fast = None
class Bot(Base):
    def cycle(self, rows): ...
async def process(fields, attempt=1): ...
"""


def tried(check: Any, tmp_path: Path, target: str, more: str = "") -> tuple[int, str, str]:
    """Status, stdout and stderr for one target of a service `desk-bot`."""
    (tmp_path / "a_desk.py").write_text(MODULE)
    (tmp_path / "desk_bot.py").write_text(SCRIPT)
    found: tuple[int, str, str] = check(
        f"services: {{desk-bot: {{stages: {{signal: {{run: '{target}', ends: true{more}}}}}}}}}",
        "--import",
    )
    return found


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("a_desk:work", "exists    a_desk:work  function (a_desk.py:"),
        ("a_desk:Desk.check", "exists    a_desk:Desk.check  method (a_desk.py:"),
        ("a_desk:Desk.still", "static method (a_desk.py:"),
        ("a_desk:Desk.acheck", "coroutine method"),
        ("a_desk:Desk.stream", "generator method"),
        ("a_desk:Desk+.check", "and of every subclass"),
        ("__main__:process", "coroutine function (desk_bot.py:13, read, not run)"),
        ("__main__:guarded", "function (desk_bot.py:6, read, not run)"),
        ("__main__:Bot.cycle", "function (desk_bot.py:12, read, not run)"),
        ("__main__:Bot.start", "may come from Base"),
        ("__main__:loads", "imported (desk_bot.py:3, read, not run)"),
        ("__main__:fast", "imported (desk_bot.py:8, read, not run)"),
    ],
)
def test_targets_that_exist(check: Any, tmp_path: Path, target: str, said: str) -> None:
    """Imported as the service does, or read in the script, which is never run."""
    status, out, err = tried(check, tmp_path, target)
    assert status == 0, out
    assert said in out
    assert "working" not in out
    assert "it was run" not in out + err


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("a_desk:wrok", "a_desk has no 'wrok'"),
        ("a_desk:wrok", "hint: did you mean work?"),
        ("a_desk:Desk.chek", "Desk has no 'chek'"),
        ("a_desc:work", "there is no module 'a_desc' here"),
        ("a_desk:Venue.send", "cannot be wrapped: a protocol's method"),
        ("a_desk:Desk.limit", "cannot be wrapped"),
        ("datetime:datetime.now", "cannot be wrapped: datetime is an immutable type of C"),
        ("__main__:proces", "desk_bot.py has no 'proces'"),
        ("__main__:proces", "hint: did you mean process?"),
        ("__main__:Bot.cycel.x", "desk_bot.py has no 'Bot.cycel.x'"),
    ],
)
def test_targets_that_do_not(check: Any, tmp_path: Path, target: str, said: str) -> None:
    """Missing or refused: an error at its line, with what may be meant."""
    status, out, _ = tried(check, tmp_path, target)
    assert status == 1
    assert said in out
    assert "services.desk-bot.stages.signal.run" in out


def test_arguments_that_the_function_does_not_have(check: Any, tmp_path: Path) -> None:
    """A typo in a path is a warning with what may be meant."""
    _, out, _ = tried(check, tmp_path, "a_desk:work", ", set: {symbol: args.symbl, side: args.0}")
    assert "warning: services.desk-bot.stages.signal.set.symbol: args.symbl" in out
    assert "hint: did you mean args.symbol?" in out
    _, out, _ = tried(check, tmp_path, "a_desk:anything", ", set: {symbol: args.symbl}")
    assert "warning" not in out
    _, out, _ = tried(check, tmp_path, "__main__:process", ", set: {symbol: args.feilds.x}")
    assert "did you mean args.fields?" in out
    for more in (", retry: args.symbl is none", ", outcome: {rejected: [result, args.symbl]}"):
        assert "did you mean args.symbol?" in tried(check, tmp_path, "a_desk:work", more)[1]
    parts = "values: {model_load_status: {after: 'a_desk:work', set: args.symbl}}"
    _, out, _ = check(f"services: {{desk-bot: {{{parts}}}}}", "--import")
    assert "values.model_load_status.set: args.symbl" in out


@pytest.mark.parametrize(
    ("part", "place"),
    [
        (Send(after="m:f", key="args.symbl"), "send.x.key"),
        (Value(after="m:f", set="args.symbl.length"), "send.x.set"),
        (Count(after="m:f", when="args.symbl is none"), "send.x.when"),
        (Count(after="m:f", when="error", set={"symbol": "args.symbl"}), "send.x.set.symbol"),
    ],
)
def test_arguments_of_sends_values_and_counts(part: Any, place: str) -> None:
    """Their paths are held against the function as those of a stage are."""
    page = Page("tradespan.yaml", "version: 1")
    (target,) = part.after
    check_arguments(part, ("send", "x", "after"), target, frozenset({"symbol", "row"}), page)
    (fault,) = page.faults
    assert (fault.path, fault.hint) == (place, "did you mean args.symbol?")
    check_arguments(part, ("send", "x", "after"), target, frozenset({"symbl"}), page)
    assert len(page.faults) == 1


def test_a_module_that_fails_when_imported(check: Any, tmp_path: Path) -> None:
    """Its failure is a fault, whatever it does."""
    (tmp_path / "b_desk.py").write_text("raise SystemExit(3)\n")
    (tmp_path / "c_desk.py").write_text("import not_installed_anywhere\n")
    assert "fails when imported: SystemExit: 3" in tried(check, tmp_path, "b_desk:x")[1]
    assert "needs 'not_installed_anywhere'" in tried(check, tmp_path, "c_desk:x")[1]


def test_a_script_that_is_given(check: Any, tmp_path: Path) -> None:
    """--script says which file is __main__; without one nothing is held against the file."""
    (tmp_path / "other.py").write_text("def begin(): ...\n")
    text = "services: {bot: {stages: {signal: {run: '__main__:begin', ends: true}}}}"
    status, out, _ = check(text, "--import")
    assert (status, "name the script: --script bot=PATH" in out) == (0, True)
    status, out, _ = check(text, "--import", "--script", "bot=other.py")
    assert (status, "function (other.py:1, read, not run)" in out) == (0, True)


def test_targets_for_a_program(check: Any, tmp_path: Path) -> None:
    """What became of each stands in the JSON too."""
    (tmp_path / "d_desk.py").write_text("class PrecisionError(ValueError): ...\n")
    status, out, _ = check(
        """
        services:
          bot:
            counts: {order_precision_errors: {raises: "d_desk:PrecisionError"}}
            values: {model_load_status: {after: "d_desk:load", set: result}}
        """,
        "--import",
        "--json",
    )
    found = {t["target"]: t["state"] for t in json.loads(out)["targets"]}
    assert found == {"d_desk:PrecisionError": "exists", "d_desk:load": "missing"}
    assert status == 1


def test_clients_and_routes(check: Any) -> None:
    """A client is installed or not; a route cannot be known without running the application."""
    status, out, _ = check(
        """
        services:
          bot:
            stages: {signal: {route: "GET /signal", ends: true}}
            calls: {database_query: {client: sqlite3}}
          other:
            calls: {database_query: {client: mysql.connector}}
        """,
        "--import",
    )
    assert status == 1
    assert "exists    sqlite3          client, installed here" in out
    assert "unknown   GET /signal" in out
    assert "services.other.calls.database_query.client: mysql.connector is not installed" in out


def test_no_yaml(check: Any) -> None:
    """The line at which it ceases to be YAML."""
    status, out, _ = check("services:\n  a: {stages: [}\n")
    assert status == 1
    assert "tradespan.yaml:3: error: the file: no YAML: " in out
