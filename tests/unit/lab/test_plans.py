"""How the programs are started: the shipped files, on the lab's ports, and nowhere else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from tradespan import bundle
from tradespan.lab import STANDARD, LabError, catalogue
from tradespan.lab.plans import (
    addresses,
    collector_variables,
    overlay_path,
    plans,
    prometheus_config,
)

PORTS = {name: 20_000 + number for number, name in enumerate(STANDARD)}
COMPOSE = yaml.safe_load((bundle.path("collector") / "compose.yaml").read_text())["services"]


def test_every_program_of_the_lab_has_a_plan(tmp_path: Path) -> None:
    """What the table calls a part of the lab is started, and nothing else."""
    started = {plan.name for plan in plans(tmp_path, PORTS, [])}
    assert started == {p.name for p in catalogue().values() if p.lab}


def test_prometheus_listens_to_the_lab_only(tmp_path: Path) -> None:
    """Compose's host names become loopback; the rules are those that are shipped."""
    shipped = bundle.path("collector") / "prometheus" / "prometheus.yaml"
    config = yaml.safe_load(prometheus_config(shipped, PORTS))
    targets = re.findall(r"'targets': \['([^']+)'\]", str(config))
    assert sorted(targets) == sorted(
        f"127.0.0.1:{PORTS[n]}" for n in ("collector_metrics", "alertmanager")
    )
    assert config["rule_files"] == [f"{shipped.parent}/rules/*.yaml"]


def test_prometheus_file_without_the_names_is_an_error(tmp_path: Path) -> None:
    """A renamed host cannot make the lab scrape something else in silence."""
    file = tmp_path / "prometheus.yaml"
    file.write_text("scrape_configs: []\n")
    with pytest.raises(ValueError, match="otelcol:8888"):
        prometheus_config(file, PORTS)


@pytest.mark.parametrize(
    ("file", "plan"),
    [
        ("otel-collector.yaml", "otelcol"),
        ("collector/jaeger/jaeger.yaml", "jaeger"),
        ("collector/loki/loki.yaml", "loki"),
    ],
)
def test_every_port_and_folder_of_a_shipped_file_is_set(
    file: str, plan: str, tmp_path: Path
) -> None:
    """A new variable that says where must be set by the lab too, or two labs would meet there."""
    names = set(re.findall(r"\$\{(?:env:)?(TRADESPAN_\w+)", bundle.path(file).read_text()))
    where = {n for n in names if n.endswith(("_PORT", "_HOST", "_DIR", "_ENDPOINT", "_URL"))}
    found = next(p for p in plans(tmp_path, PORTS, []) if p.name == plan)
    assert where - set(found.environ) == set()
    assert len(where) > 2


@pytest.mark.parametrize(
    "file", ["otel-collector.yaml", "collector/jaeger/jaeger.yaml", "collector/loki/loki.yaml"]
)
def test_table_at_the_top_names_every_variable_and_its_default(file: str) -> None:
    """Who reads the first lines knows all that can be set, and the real defaults."""
    text = bundle.path(file).read_text()
    comments = "\n".join(line for line in text.splitlines() if line.startswith("#"))
    table = dict(re.findall(r"^# (TRADESPAN_\w+) +(\S+)", comments, flags=re.M))
    rest = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    used = dict(re.findall(r"\$\{(?:env:)?(TRADESPAN_\w+):-([^}]*)\}", rest))
    assert used.items() <= table.items()
    assert set(table) - set(used) <= {"TRADESPAN_SCRAPE_PORT"}  # of the overlay


def test_readme_lists_the_variables_of_all_files() -> None:
    """The table of collector/README.md has every variable, with the default of its file."""
    rows = re.findall(
        r"^\| `(TRADESPAN_\w+)` \| `([^`]+)` \|",
        (bundle.path("collector") / "README.md").read_text(),
        flags=re.M,
    )
    names = ("otel-collector.yaml", "collector/jaeger/jaeger.yaml", "collector/loki/loki.yaml")
    overlays = (bundle.path("collector") / "overlays").glob("*.yaml")
    expected = set()
    for file in (*map(bundle.path, names), *overlays):
        expected |= set(re.findall(r"^# (TRADESPAN_\w+) +(\S+)", file.read_text(), flags=re.M))
    assert set(rows) == expected


def test_services_send_where_the_collector_listens(tmp_path: Path) -> None:
    """The addresses that are told and the variables of the Collector say the same."""
    variables = collector_variables(PORTS, tmp_path)
    at = addresses(PORTS)
    assert at.otlp_http.endswith(f":{variables['TRADESPAN_OTLP_HTTP_PORT']}")
    assert variables["TRADESPAN_PROMETHEUS_ENDPOINT"].startswith(at.prometheus)
    assert variables["TRADESPAN_LOKI_ENDPOINT"].startswith(at.loki)


def test_unknown_overlay_is_an_error_that_lists_them() -> None:
    """A misspelt overlay cannot go unseen."""
    with pytest.raises(LabError, match="no overlay scrap") as caught:
        overlay_path("scrap")
    assert "scrape" in caught.value.hint
    assert overlay_path("scrape").name == "scrape.yaml"


def test_containers_have_the_versions_that_are_built() -> None:
    """compose.yaml and programs.yaml name the same versions."""
    for name, program in catalogue().items():
        if program.lab:
            assert COMPOSE[name]["image"].split(":")[1].lstrip("v") == program.version


def test_containers_start_with_the_flags_of_the_lab(tmp_path: Path) -> None:
    """A feature flag that the lab needs is not forgotten in compose.yaml."""
    of_place = re.compile(r"^--?(config|config\.file|storage\.\S*path|web\.listen-address)=")
    for plan in plans(tmp_path, PORTS, []):
        flags = {flag for flag in plan.command if not of_place.match(flag)}
        assert flags <= set(COMPOSE[plan.name]["command"]), plan.name


def test_containers_are_reachable_inside_and_private_outside() -> None:
    """Every published port is on 127.0.0.1; what has a listen host listens on all addresses."""
    published = [port for service in COMPOSE.values() for port in service.get("ports", ())]
    assert len(published) >= 8
    assert all(port.startswith("127.0.0.1:") for port in published)
    for name in ("otelcol", "jaeger", "loki"):
        assert COMPOSE[name]["environment"]["TRADESPAN_LISTEN_HOST"] == "0.0.0.0"
