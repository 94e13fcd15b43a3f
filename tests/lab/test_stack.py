"""The lab itself: it starts, says where, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tradespan import lab
from tradespan.lab import reaper
from tradespan.settings import ConfigError, ReadSettings

PATIENCE_S = 30.0


@pytest.fixture
def own_cache(read_side: ReadSettings, programs: dict[str, Path], tmp_path: Path) -> ReadSettings:
    """A cache with the built programs, in which no lab of the user's runs."""
    assert programs
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "programs").symlink_to(read_side.cache / "programs")
    return ReadSettings(cache=tmp_path / "cache", environ=read_side.environ)


@pytest.fixture
def tradespan(own_cache: ReadSettings) -> Iterator[Tradespan]:
    """The command line in a process of its own; its lab is stopped at the end."""
    command = Tradespan(own_cache)
    yield command
    command("lab", "down")


class Tradespan:
    """Runs `tradespan ...` as a user would."""

    def __init__(self, settings: ReadSettings) -> None:
        path = os.pathsep.join(sys.path)
        self.environ = {
            **settings.environ, "TRADESPAN_CACHE": str(settings.cache), "PYTHONPATH": path
        }  # fmt: skip

    def __call__(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "tradespan", *words],
            env=self.environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_S * 2,
        )


def status_of(url: str) -> int:
    with urllib.request.urlopen(url, timeout=5) as answer:
        return int(answer.status)


def test_all_are_ready_inside_and_gone_after(own_cache: ReadSettings) -> None:
    """Inside `with` every address answers; after it no process and no folder is left."""
    with lab.Stack(own_cache) as stack:
        at = stack.addresses
        ready = [at.health, at.collector_metrics, f"{at.prometheus}/-/ready"]
        ready += [f"{at.jaeger}/api/services", f"{at.loki}/ready", f"{at.alertmanager}/-/ready"]
        assert [status_of(url) for url in ready] == [200] * len(ready)
        folder = stack.folder
        processes = [child.identity for child in stack.children.values()]
        assert len(processes) == 5
        assert all(reaper.alive(p) for p in processes)
        assert stack.environment["OTEL_EXPORTER_OTLP_ENDPOINT"] == at.otlp_http
    assert [p for p in processes if reaper.alive(p)] == []
    assert not folder.exists()


def test_two_labs_at_once(own_cache: ReadSettings) -> None:
    """They do not meet on a port, in a folder or in a queue."""
    with lab.Stack(own_cache) as one, lab.Stack(own_cache) as two:
        assert set(one.ports.values()).isdisjoint(two.ports.values())
        assert one.folder != two.folder
        for stack in (one, two):
            assert status_of(stack.addresses.health) == 200


def test_taken_port_is_told_before_anything_starts(own_cache: ReadSettings) -> None:
    """The error names the port and the number."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        number = server.getsockname()[1]
        stack = lab.Stack(own_cache, ports={"prometheus": number})
        with pytest.raises(ConfigError, match=f"port prometheus={number}"):
            stack.start()
        assert stack.children == {}


def test_program_that_ends_at_once_is_told_with_its_last_lines(own_cache: ReadSettings) -> None:
    """A setting that the Collector refuses: its own words are shown, and nothing is left."""
    stack = lab.Stack(own_cache, environment={"TRADESPAN_BATCH_TIMEOUT": "soon"})
    with pytest.raises(lab.LabError, match=r"(?s)otelcol ended with status 1.*invalid duration"):
        stack.start()
    assert stack.children == {}
    assert not stack.folder.exists()


def test_nothing_survives_a_starter_that_is_killed(own_cache: ReadSettings) -> None:
    """kill -9 of a test run ends its lab too."""
    script = (
        "import sys, json\n"
        "from tradespan import lab\n"
        "with lab.Stack(programs=['otelcol', 'alertmanager']) as stack:\n"
        "    facts = {n: c.identity for n, c in stack.children.items()}\n"
        "    print(json.dumps([facts, str(stack.folder)]), flush=True)\n"
        "    sys.stdin.read()\n"
    )
    environ = {**own_cache.environ, "TRADESPAN_CACHE": str(own_cache.cache)}
    environ["PYTHONPATH"] = os.pathsep.join(sys.path)
    starter = subprocess.Popen(
        [sys.executable, "-c", script], env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert starter.stdout
    facts, folder = json.loads(starter.stdout.readline())
    processes = [reaper.Identity(*identity) for identity in facts.values()]
    assert all(reaper.alive(p) for p in processes)
    starter.kill()
    starter.communicate()
    deadline = time.monotonic() + PATIENCE_S
    while (any(map(reaper.alive, processes)) or Path(folder).exists()) and (
        time.monotonic() < deadline
    ):
        time.sleep(0.05)
    assert [p for p in processes if reaper.alive(p)] == []
    assert not Path(folder).exists()


def test_up_status_up_again_down(tradespan: Tradespan, own_cache: ReadSettings) -> None:
    """The way of a user: each command says what is, by words, JSON and exit status."""
    nothing = tradespan("lab", "status", "--json")
    assert nothing.returncode == 3
    assert json.loads(nothing.stdout) == {"running": False}

    up = tradespan("lab", "up", "--json")
    assert up.returncode == 0, up.stderr
    facts = json.loads(up.stdout)
    assert facts["running"]
    assert status_of(facts["addresses"]["health"]) == 200
    assert set(facts["processes"]) == {p.name for p in lab.catalogue().values() if p.lab}

    again = tradespan("lab", "up", "--json")
    assert again.returncode == 0
    assert json.loads(again.stdout) == facts
    assert "already" in again.stderr

    otherwise = tradespan("lab", "up", "--overlay", "scrape")
    assert otherwise.returncode == 1
    assert "hint: `tradespan lab down` first" in otherwise.stderr

    status = tradespan("lab", "status")
    assert status.returncode == 0
    assert facts["addresses"]["otlp_http"] in status.stdout

    down = tradespan("lab", "down")
    assert down.returncode == 0, down.stderr
    assert not any(reaper.identify(p["pid"]) for p in facts["processes"].values())
    left = {path.name for path in (own_cache.cache / "lab").iterdir()}
    assert left == {".lock"}
    assert tradespan("lab", "down").returncode == 3


def test_lab_of_which_a_part_ended_is_told_and_replaced(
    tradespan: Tradespan,
) -> None:
    """A program that died by itself: `status` fails and names it, `up` starts all anew."""
    before = json.loads(tradespan("lab", "up", "--json").stdout)
    loki = reaper.identify(before["processes"]["loki"]["pid"])
    assert loki
    reaper.end([loki], grace=0.0)
    status = tradespan("lab", "status", "--json")
    assert status.returncode == 1
    assert "loki" in status.stderr
    assert json.loads(status.stdout)["processes"]["loki"]["running"] is False
    after = tradespan("lab", "up", "--json")
    assert after.returncode == 0, after.stderr
    assert json.loads(after.stdout)["running"]
    assert not any(reaper.identify(p["pid"]) for p in before["processes"].values())


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--port", "loki"], "loki=3101"),
        (["--port", "lokki=3101"], "the ports are"),
        (["--overlay", "nonsense"], "scrape"),
    ],
)
def test_wrong_words_are_told_with_a_hint(
    tradespan: Tradespan, words: list[str], told: str
) -> None:
    """An error and a hint on stderr, nothing on stdout, and nothing is started."""
    answer = tradespan("lab", "up", *words)
    assert answer.returncode != 0
    assert answer.stdout == ""
    assert answer.stderr.startswith("error: ") or "\nerror: " in answer.stderr
    assert "\nhint: " in answer.stderr
    assert told in answer.stderr
    assert "Traceback" not in answer.stderr
    assert tradespan("lab", "status").returncode == 3
