"""The lab before anything is started: what is refused, and what is left alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from tradespan import lab
from tradespan.lab import background, plans
from tradespan.lab.programs import store
from tradespan.settings import ReadSettings


@pytest.fixture
def settings(tmp_path: Path) -> ReadSettings:
    """A cache in which every program is a shell script that ends at once."""
    settings = ReadSettings(cache=tmp_path / "cache", environ={"PATH": "/usr/bin:/bin"})
    store(settings.cache).mkdir(parents=True)
    for program in lab.catalogue().values():
        binary = store(settings.cache) / program.file_name(
            lab.go_version(settings.environ) or "go1"
        )
        binary.write_text("#!/bin/sh\necho 'listen tcp: address already in use'; exit 3\n")
        binary.chmod(0o755)
    return settings


def test_stop_before_start_touches_nothing(
    settings: ReadSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lab that never ran has nothing to remove, least of all the working folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "precious").write_text("x")
    lab.Stack(settings).stop()
    assert (tmp_path / "precious").exists()


def test_folder_of_somebody_else_is_refused_and_kept(
    settings: ReadSettings, tmp_path: Path
) -> None:
    """Only a folder that the lab made is the lab's to remove."""
    folder = tmp_path / "mine"
    folder.mkdir()
    with pytest.raises(lab.LabError, match="mine exists"):
        lab.Stack(settings, folder=folder).start()
    assert folder.is_dir()


def test_dead_program_is_told_and_nothing_is_left(settings: ReadSettings, tmp_path: Path) -> None:
    """Its status, its last words, a hint that fits them; the folder is gone."""
    folder = tmp_path / "data"
    with pytest.raises(lab.LabError, match=r"(?s)ended with status 3.*already in use") as caught:
        lab.Stack(settings, folder=folder).start()
    assert "--port" in caught.value.hint
    assert not folder.exists()


def test_moved_port_is_told(settings: ReadSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who counts on 4318 hears where it went."""
    said: list[str] = []
    stack = lab.Stack(settings, standard_ports=True, report=said.append)
    monkeypatch.setattr("tradespan.lab.ports.Ports.moved", lambda _self: {"otlp_http": 40_001})
    with pytest.raises(lab.LabError):
        stack.start()
    assert "port 4318 (otlp_http) is taken; 40001 instead" in said


def test_programs_do_not_see_the_telemetry_settings_of_services(
    settings: ReadSettings, tmp_path: Path
) -> None:
    """OTEL_SERVICE_NAME of a shell must not rename Jaeger; our own variables win."""
    spy = tmp_path / "seen"
    for binary in store(settings.cache).iterdir():
        binary.write_text(f"#!/bin/sh\nenv >> {spy}; exit 3\n")
    noisy = {"OTEL_SERVICE_NAME": "risk", "TRADESPAN_LISTEN_HOST": "0.0.0.0", "PATH": "/bin"}
    stack = lab.Stack(
        ReadSettings(settings.cache, noisy), programs=["jaeger"], environment={"EXTRA": "1"}
    )
    with pytest.raises(lab.LabError):
        stack.start()
    seen = spy.read_text().splitlines()
    assert "EXTRA=1" in seen
    assert "TRADESPAN_LISTEN_HOST=127.0.0.1" in seen
    assert not any(row.startswith("OTEL_") for row in seen)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"processes": {}, "addresses": {"x": 1}}'])
def test_damaged_state_file_is_told(settings: ReadSettings, text: str) -> None:
    """It names the file; it does not end in a traceback."""
    file = settings.cache / "lab" / "state.json"
    file.parent.mkdir()
    file.write_text(text)
    with pytest.raises(lab.LabError, match=r"state\.json cannot be read") as caught:
        background.read(settings)
    assert "remove it" in caught.value.hint


def test_every_plan_says_how_to_know_that_it_is_ready(tmp_path: Path) -> None:
    """A program without an address to ask would count as ready at once."""
    ports = {name: number for number, name in enumerate(lab.STANDARD)}
    for plan in plans.plans(tmp_path, ports, []):
        assert all(url.startswith("http://127.0.0.1:") for url in plan.ready)
        assert len(plan.ready) > 0


def test_all_is_sorted_and_there() -> None:
    """The names of the room."""
    assert all(hasattr(lab, name) for name in lab.__all__)
    assert lab.__all__ == sorted(
        lab.__all__, key=lambda name: (not name.isupper(), name[0].islower(), name)
    )
