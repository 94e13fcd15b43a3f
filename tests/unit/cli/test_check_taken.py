"""`tradespan check --import`: functions that a decorator has taken before they can be wrapped."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tradespan.cli import main

SOURCE = """\
class App:
    def get(self, path):
        return lambda function: function
    task = get
app = App()
@app.get("/a")
def handler(): ...
@app.task("x")
async def job(): ...
class Desk:
    @app.get("/b")
    def check(self): ...
@staticmethod
def plain(): ...
def make():
    def inner(): ...
    return inner
"""


@pytest.mark.parametrize("where", ["__main__", "taken_desk"])
@pytest.mark.parametrize(
    ("target", "said", "hint"),
    [
        (
            "handler",
            "@app.get takes it before it is wrapped",
            "for FastAPI write route:, else name",
        ),
        ("job", "@app.task takes it before it is wrapped", "hint: name a function that it calls"),
        ("Desk.check", "@app.get takes it before it is wrapped", "for FastAPI write route:"),
        ("plain", "", ""),
        ("make.inner", "has no ", "for what it makes write returns: {}:make"),
    ],
)
def test_decorators_that_register(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    where: str, target: str, said: str, hint: str,
) -> None:  # fmt: skip
    """In a script, which is read, and in a module, which is imported; a warning, no error."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delenv("TRADESPAN_CONFIG", raising=False)
    monkeypatch.delitem(sys.modules, "taken_desk", raising=False)
    for name in ("bot.py", "taken_desk.py"):
        (tmp_path / name).write_text(SOURCE)
    (tmp_path / "tradespan.yaml").write_text(
        f"version: 1\nservices: {{bot: {{stages: {{signal: {{run: '{where}:{target}'}}}}}}}}\n"
    )
    status = main(["check", "--import"])
    sys.modules.pop("taken_desk", None)
    out = capsys.readouterr().out
    assert status == (target == "make.inner")
    assert hint.format(where) in out
    assert said in out
    assert ("warning" in out and "takes it before" in out) is said.startswith("@")
