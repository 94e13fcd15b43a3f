"""What the guides to costs and logs show is true."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tradespan.export.log_fields import BY_NAME
from tradespan.export.other_loggers import loguru_json, loguru_to, structlog_json
from tradespan.recorders.prices import declared
from tradespan.semconv.attributes import SPAN_VALUES
from tradespan.semconv.metrics import METRICS

GUIDES = Path(__file__).resolve().parents[2] / "docs" / "guides"
COSTS, LOGS = ((GUIDES / f"{name}.md").read_text() for name in ("costs", "logs"))


def block(text: str, language: str) -> str:
    """The one block in this language."""
    (found,) = re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return str(found)


def test_the_prices() -> None:
    """They are read as they stand there."""
    prices = declared(block(COSTS, "yaml"))
    assert list(prices) == ["llama3.2:3b", "meta-llama/*", "claude-sonnet-4-20250514"]
    assert prices["llama3.2:3b"].per_hour == 0.45


@pytest.mark.parametrize("name", ["ai_api_cost", "ai_api_tokens", "ai_api_unpriced"])
def test_the_metrics(name: str) -> None:
    """They are in the registry."""
    assert name in {metric.name for metric in METRICS}
    assert f"`{name}" in COSTS


def test_the_span_attributes() -> None:
    """They are the registry's."""
    for value in ("cost_usd", "unpriced"):
        assert f"`{SPAN_VALUES[value]}`" in COSTS


def test_the_line() -> None:
    """It parses, and its fields are all in the table."""
    line = json.loads(block(LOGS, "json"))
    told = LOGS.partition("| field | from |")[2].partition("\n\n")[0]
    assert all(field in told for field in line)


def test_the_streams() -> None:
    """All that are known by name are named."""
    for name, stream in BY_NAME.items():
        assert re.search(rf"`{name}`[^;]*→ {stream}", LOGS.replace("\n", " ")), name


@pytest.mark.parametrize("function", [structlog_json, loguru_json, loguru_to])
def test_the_other_loggers(function: object) -> None:
    """They are there under these names."""
    assert getattr(function, "__name__", "") in LOGS
