"""What the README shows is run: its code, its commands, its settings and its links."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tradespan.mapping.load import load
from tradespan.semconv.metrics import METRICS
from tradespan.settings import Settings

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "collector/README.md")]
README = (ROOT / "README.md").read_text()
MAKEFILE = (ROOT / "Makefile").read_text()


def blocks(text: str, language: str) -> list[str]:
    """Code blocks of a language, their indent taken off."""
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```", text, re.S | re.M)
    return [re.sub(rf"^{indent}", "", code, flags=re.M) for indent, code in found]


def test_the_code_runs_and_is_one_journey(telemetry: Any) -> None:
    """The code of the README is one trace from signal to fill."""
    (code,) = blocks(README, "python")
    exec(compile(code, "README.md", "exec"), {})
    names = [span.name for span in telemetry.spans]
    assert names == ["signal", "risk", "orchestration", "execution"]
    assert len({span.context.trace_id for span in telemetry.spans}) == 1
    assert telemetry.total("trading.pipeline.duration", outcome="ok") == 1


def test_the_mapping_is_valid(tmp_path: Path) -> None:
    """The tradespan.yaml of the README is one that a service takes."""
    (text,) = blocks(README, "yaml")
    file = tmp_path / "tradespan.yaml"
    file.write_text(text)
    assert set(load(file, {}).services) == {"risk"}


def test_every_make_target_that_is_named_exists() -> None:
    """`make NAME` in a page is a target of the Makefile."""
    named = {
        name for page in PAGES for name in re.findall(r"make ([a-z][a-z-]*)", page.read_text())
    }
    targets = set(re.findall(r"^([a-z][a-z-]*):", MAKEFILE, re.M))
    assert named
    assert named <= targets


def test_every_setting_that_is_named_is_read() -> None:
    """`TRADESPAN_*` in the README is a setting, and each setting of a service stands there."""
    named = set(re.findall(r"`(TRADESPAN(?:_[A-Z_]+)?)`", README))
    described = set(re.findall(r"TRADESPAN(?:_[A-Z_]+)?", Settings.__doc__ or ""))
    assert described <= named
    assert named <= described | {"TRADESPAN_CACHE"}


def test_every_metric_that_is_named_is_emitted() -> None:
    """`trading_...` in the README is the Prometheus name of a metric of the registry."""
    known = {metric.name.replace(".", "_") for metric in METRICS}
    for name in re.findall(r"`(trading_[a-z_]+\*?|[a-z_]+_total)`", README):
        stem = name.rstrip("*").removesuffix("_total").removesuffix("_seconds")
        assert any(
            metric == stem or (name.endswith("*") and metric.startswith(stem)) for metric in known
        )


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link of a page leads to a file or folder."""
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"
