"""The registry: strict in what it takes, true in what is made of it, one name on every path."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import generate
import pytest
from generator import names
from generator.model import Metric, RegistryError
from generator.read import read
from generator.rules import check
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse

from tradespan.semconv import metrics as generated
from tradespan.semconv.attributes import ENUMS
from tradespan.semconv.model import Metric as Made

from ..support.catalogue import CATALOGUE, record_everything

ROOT = Path(__file__).parents[2]
REGISTRY = ROOT / "src/tradespan/semconv/registry"

# What the users of the five systems name: section, Prometheus name, type, labels.
NAMED = """
1 signals_generated_total counter symbol signal_type
1 signal_confidence histogram
1 model_inference_time_seconds histogram
1 model_load_status gauge
1 database_query_time_seconds histogram
1 trade_executions_total counter status symbol
1 trade_execution_time_seconds histogram
1 coinbase_api_response_time_seconds histogram
1 order_precision_errors_total counter symbol
1 balance_check_failures_total counter symbol
1 pending_recommendations gauge
1 llm_validations_total counter decision
1 llm_validation_time_seconds histogram
1 llm_confidence_scores histogram
1 ollama_api_latency_seconds histogram
1 recommendations_processed_total counter status
1 pipeline_stage_duration_seconds histogram stage
1 pending_recommendations_queue_size gauge
1 orchestrator_cycle_duration_seconds histogram
1 risk_assessments_total counter decision
1 risk_assessment_time_seconds histogram
1 risk_scores histogram
1 rejected_trades_by_risk_total counter risk_level
2 agent_analyses_total counter
2 agent_decisions_total counter ticker action
2 ai_api_requests_total counter model_name
2 ai_api_cost_usd_total counter model_name
2 ai_api_latency_seconds histogram model_name
2 agent_conviction_score histogram
2 cache_hits_total counter layer
2 cache_misses_total counter
2 cache_hit_rate gauge
2 feature_calculation_latency_seconds histogram
2 feature_store_query_latency_seconds histogram
2 trades_total counter ticker side
2 current_positions_count gauge
2 portfolio_total_value gauge
2 portfolio_cash gauge
2 daily_pnl gauge
2 total_return_pct gauge
2 kill_switch_status gauge
2 constitution_violations_total counter rule_name
2 constitution_checks_total counter rule_name result
2 max_drawdown_pct gauge
2 system_uptime_seconds gauge
2 timescale_connection_status gauge
2 redis_connection_status gauge
3 trading_projected_roi_avg gauge
3 trading_executed_trades gauge
3 trading_win_trades gauge
3 trading_loss_trades gauge
3 trading_voice_total_requests gauge
3 trading_voice_failed_requests gauge
3 trading_voice_wake_word_events_total counter
3 training_cycles_total counter training_type
3 training_policy_reward_avg gauge
3 training_policy_win_rate gauge
3 training_policy_rolling_roi gauge
3 training_policy_latency_ms gauge
3 training_policy_drift_score_* gauge
3 training_experience_buffer_size gauge
3 trading_slippage_bps histogram
3 trading_orders_rejected_total counter reason
3 trading_voice_latency_seconds histogram
3 trading_voice_conversions_total counter
"""


def test_sections_1_to_3_are_those_of_the_catalogue() -> None:
    """Exactly these names, types and labels, in this order of labels."""
    wanted = {tuple(line.split()) for line in NAMED.strip().splitlines()}
    found = {
        (str(e["section"]), e["prometheus"], e["type"], *e["labels"])
        for e in CATALOGUE
        if e["section"] in (1, 2, 3)
    }
    assert found == wanted


def test_the_generated_files_are_current(capsys: pytest.CaptureFixture[str]) -> None:
    """`python tools/generate.py --check` passes."""
    assert generate.main(["--check"]) == 0
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("entry", CATALOGUE, ids=lambda e: e["name"])
def test_the_catalogue_is_what_is_made(entry: dict[str, Any]) -> None:
    """Each entry of catalogue.json is a metric of the package, with its words and limits."""
    constant = entry["name"].removesuffix("_*").replace(".", "_").upper()
    metric: Made = getattr(generated, constant)
    assert (metric.kind, metric.unit, metric.brief, metric.room) == (
        entry["instrument"], entry["unit"], entry["description"], entry["room"]
    )  # fmt: skip
    assert metric.attributes == tuple(entry["labels"])
    for key, bound in entry["labels"].items():
        words = metric.values.get(key) or ENUMS.get(key)
        assert bound.get("values") == (list(words) if words else None)
        assert words or bound["limit"] > 0
    assert entry["question"].endswith("?")
    assert (metric in generated.METRICS) is ("template" not in entry)


def test_the_page_has_every_metric() -> None:
    """docs/reference/metrics.md names each under its section."""
    page = (ROOT / "docs/reference/metrics.md").read_text()
    for entry in CATALOGUE:
        assert f"| `{entry['prometheus']}` |" in page
    for section in range(1, 6):
        assert f"## Catalogue {section}: " in page


# ------------------------------------------------------------------ both paths give one name


def otlp_name(name: str, unit: str, kind: str) -> str:
    """Prometheus' translator (otlptranslator, UnderscoreEscapingWithSuffixes), said again.

    Checked against a real Prometheus by tests/lab; written apart from tools/generator, so that one
    does not hold the other up.
    """
    tokens = [t for t in re.split(r"[^a-zA-Z0-9:]", name) if t]
    main, _, per = unit.partition("/")
    mapped = {"s": "seconds", "ms": "milliseconds", "%": "percent", "By": "bytes", "1": ""}
    for part, prefix in ((main, ""), (per, "per_")):
        part = part.strip()
        if part and not any(c in part for c in "{}"):
            word = {"per_s": "second"}.get(prefix + part, mapped.get(part, part))
            if word and word not in tokens:
                tokens += [*([prefix.strip("_")] if prefix else []), word]
    if kind == "counter":
        tokens = [t for t in tokens if t != "total"] + ["total"]
    if unit == "1" and kind == "gauge":
        tokens = [t for t in tokens if t != "ratio"] + ["ratio"]
    return "_".join(tokens)


@pytest.mark.parametrize("entry", CATALOGUE, ids=lambda e: e["name"])
def test_the_name_by_otlp(entry: dict[str, Any]) -> None:
    """What Prometheus makes of OTLP is the catalogue's name."""
    kind = "gauge" if entry["instrument"] == "updowncounter" else entry["instrument"]
    name, wanted = entry["name"].replace("*", "f"), entry["prometheus"].replace("*", "f")
    assert otlp_name(name, entry["unit"], kind) == wanted


@pytest.fixture
def scraped(monkeypatch: pytest.MonkeyPatch, telemetry: Any) -> Callable[[], bytes]:
    """Every metric of the registry recorded once, and /metrics as upstream's exporter gives it."""
    registry = CollectorRegistry()
    reader = PrometheusMetricReader(
        disable_target_info=True, scope_info_enabled=False, registry=registry
    )
    provider = MeterProvider([reader], shutdown_on_exit=False)
    record_everything(provider, monkeypatch)
    return lambda: generate_latest(registry)


def test_the_name_by_scrape(scraped: Callable[[], bytes]) -> None:
    """/metrics shows exactly the catalogue: names, types, help texts and labels."""
    text = scraped().decode()
    typed = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M))
    helps = dict(re.findall(r"^# HELP (\S+) (.*)$", text, re.M))
    wanted = {e["prometheus"].replace("*", "f"): e for e in CATALOGUE}
    assert typed == {name: entry["type"] for name, entry in wanted.items()}
    assert helps == {name: entry["description"] for name, entry in wanted.items()}
    for family in parse(text):
        name = family.name + ("_total" if family.type == "counter" else "")
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == set(wanted[name]["labels"])


def test_bounds_print_as_floats(scraped: Callable[[], bytes]) -> None:
    """`le="1.0"`, the same whatever the boundary is."""
    bounds = set(re.findall(r'le="([^"]+)"', scraped().decode()))
    assert all(re.fullmatch(r"\d+\.\d+|\+Inf", bound) for bound in bounds)


def test_an_openmetrics_parser_reads_it(scraped: Callable[[], bytes], telemetry: Any) -> None:
    """No family stands there twice, and each is well formed."""
    text = scraped().decode()
    assert len(list(parse(text))) == len(CATALOGUE)
    families = list(parse(text))

    class Again:
        def collect(self) -> list[Any]:
            return families

    registry = CollectorRegistry()
    registry.register(Again())  # type: ignore[arg-type]
    read_back = list(parse_openmetrics(openmetrics(registry).decode()))
    assert len(read_back) == len(CATALOGUE)


# ------------------------------------------------------------------ strict


def metric(**changes: Any) -> Metric:
    """A metric that keeps to every rule, but for the changes."""
    given: dict[str, Any] = {
        "file": "x", "name": "things", "instrument": "gauge", "unit": "{thing}", "brief": "Things.",
        "labels": (), "room": "x", "question": "How many?", **changes,
    }  # fmt: skip
    return Metric(**given)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"unit": "1"}, "unit 1 becomes _ratio"),
        ({"unit": "1", "instrument": "counter"}, "unit 1 becomes _ratio"),
        ({"unit": "%"}, "adds a word"),
        ({"unit": "ms"}, "adds a word"),
        ({"unit": "USD"}, "write it small"),
        ({"unit": ""}, "every metric has a unit"),
        ({"name": "things_total"}, "holds no unit and no total"),
        ({"name": "thing_seconds", "unit": "s"}, "holds no unit and no total"),
        ({"name": "cost_usd", "unit": "usd"}, "holds no unit and no total"),
        ({"name": "return_pct", "unit": "{percent}"}, "a unit in the name"),
        ({"name": "max_drawdown_pct", "unit": "percent"}, "a unit in the name"),
        ({"name": "Things"}, "lower case"),
        ({"name": "trading..x"}, "lower case"),
        ({"brief": "Things"}, "a sentence"),
        ({"question": "How many."}, "the question"),
        ({"section": 6}, "a section from 1 to 5"),
        ({"instrument": "histogram"}, "names its boundaries"),
        ({"boundaries": "latency"}, "names its boundaries"),
        ({"boundaries": "nowhere", "instrument": "histogram"}, "boundaries.yaml has no nowhere"),
        ({"labels": ("nowhere",)}, "declares no metric attribute nowhere"),
        ({"labels": ("symbol", "symbol")}, "stands there twice"),
        ({"values": {"symbol": ("a",)}}, "values of symbol, which it does not have"),
        ({"name": "symbol"}, "an attribute has this name"),
        ({"name": "trading.mode"}, "an attribute has this name"),
        ({"name": "pending.recommendations"}, "is pending_recommendations in Prometheus too"),
        ({"name": "risk_scores_count"}, "is risk_scores_count in Prometheus too"),
        ({"template": "feature"}, "with a limit"),
        ({"template": "feature", "limit": 5, "labels": ("symbol",)}, "with a limit"),
        ({"observed": True, "instrument": "histogram", "boundaries": "share"}, "be observed"),
    ],
    ids=lambda v: " ".join(map(str, v.values())) if isinstance(v, dict) else "",
)
def test_a_metric_that_breaks_a_rule_is_refused(changes: dict[str, Any], message: str) -> None:
    """With the file, its name and what is wrong."""
    registry = read(REGISTRY)
    name = changes.get("name", "things")
    registry = replace(registry, metrics=tuple(m for m in registry.metrics if m.name != name))
    if name == "things":
        check(replace(registry, metrics=(*registry.metrics, metric())))
    with pytest.raises(RegistryError, match=re.escape(message)) as error:
        check(replace(registry, metrics=(*registry.metrics, metric(**changes))))
    assert "x.yaml" in str(error.value)
    assert name in str(error.value)


def test_no_metric_stands_there_twice() -> None:
    """Not in two files either."""
    registry = read(REGISTRY)
    twice = replace(registry, metrics=(*registry.metrics, metric(name="trades")))
    with pytest.raises(RegistryError, match="metric trades stands there twice"):
        check(twice)


METRIC = (
    "groups:\n  - {id: metric.things, type: metric, metric_name: things, instrument: gauge, "
    'unit: "{thing}", attributes: [], brief: "Things.", '
    'annotations: {tradespan: {room: x, question: "How many?"}}}\n'
)


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("new", "unit:", "units:", "new.yaml, things: unit is missing"),
        ("new", "brief:", "colour: red, brief:", "new.yaml, things: unknown key colour"),
        ("new", "room: x", "room: x, rom: y", "new.yaml, things, annotations: unknown key rom"),
        ("new", "room: x, ", "", "new.yaml, things: annotations.tradespan.room is missing"),
        ("new", "instrument: gauge", "instrument: dial", "instrument is one of"),
        ("new", "id: metric.things", "id: things", "id is metric.things"),
        ("new", "unit:", "unit: s, unit:", "new.yaml: line 2: unit stands there twice"),
        ("new", "attributes: []", "attributes: [{ref: side, x: 1}]", "things: unknown key x"),
        ("new", "groups:", "group:", "new.yaml: groups is missing"),
        ("new", "things, instrument", "risk_scores, instrument", "id is metric.risk_scores"),
        ("new", METRIC, "groups: [", "new.yaml: while parsing"),
        ("attributes", "{limit: 50, ", "{", ""),
        ("attributes", "annotations: {tradespan: {limit: 10}}", "annotations: {}",
         "attributes.yaml, layer: a metric attribute has members or a limit"),
        ("attributes", "limit: 10}", "limit: 0}", "attributes.yaml, layer: the limit"),
        ("attributes", "id: layer, type: string", "id: layer, type: text", "type is one of"),
        ("attributes", "id: layer,", "id: stage,", "attribute stage stands there twice"),
        ("boundaries", "[0.1, 0.2", "[0.2, 0.1", "boundaries.yaml, share: the values rise"),
        ("stages", "metric: risk_scores", "metric: risk_score", "stages.yaml, risk: no such feed"),
        ("stages", "brief: The risk", "breif: The risk", "stages.yaml, risk: unknown key breif"),
        ("stages", "symbol: trading.symbol", "symbol: trading.simbol", "no span attribute"),
    ],
)  # fmt: skip
def test_a_file_that_is_not_of_the_form_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], file: str, old: str, new: str, message: str
) -> None:
    """The command says file and entry, writes nothing, and fails."""
    folder = tmp_path / "registry"
    shutil.copytree(REGISTRY, folder)
    (folder / "new.yaml").write_text(METRIC)
    text = (folder / f"{file}.yaml").read_text()
    if message:
        assert old in text
    (folder / f"{file}.yaml").write_text(text.replace(old, new))
    status = generate.main([], root=tmp_path, registry=folder)
    told = capsys.readouterr().err
    if message:
        assert status == 1
        assert told.startswith("error: ")
        assert message in told
        assert not (tmp_path / "src").exists()
    else:
        assert status == 0


def test_what_is_written_is_written_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A change of the registry is stale until it is written; the module of a lost file goes."""
    folder = tmp_path / "registry"
    shutil.copytree(REGISTRY, folder)
    (folder / "new.yaml").write_text(METRIC)
    run = {"root": tmp_path, "registry": folder}
    assert generate.main([], **run) == 0  # type: ignore[arg-type]
    assert generate.main(["--check"], **run) == 0  # type: ignore[arg-type]
    assert (tmp_path / "src/tradespan/semconv/metrics/new.py").exists()
    (folder / "new.yaml").unlink()
    assert generate.main(["--check"], **run) == 1  # type: ignore[arg-type]
    assert "metrics/new.py is not what the registry says" in capsys.readouterr().err
    assert generate.main([], **run) == 0  # type: ignore[arg-type]
    assert generate.main(["--check"], **run) == 0  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "unit", "instrument", "otlp", "scrape"),
    [
        ("trading.queue.rate", "{entry}/s", "gauge", "trading_queue_rate_per_second", None),
        ("ai_api_cost", "usd", "counter", "ai_api_cost_usd_total", None),
        ("ai_api_cost", "{usd}", "counter", "ai_api_cost_total", None),
        ("portfolio_cash", "USD", "gauge", "portfolio_cash_USD", None),
        ("total_return_pct", "%", "gauge", "total_return_pct_percent", None),
        ("training_policy_latency_ms", "ms", "gauge", "training_policy_latency_ms_milliseconds",
         None),
        ("cache_hit_rate", "1", "gauge", "cache_hit_rate_ratio", "cache_hit_rate"),
        ("risk_scores", "1", "histogram", "risk_scores", None),
    ],
)  # fmt: skip
def test_the_traps_of_the_table(
    name: str, unit: str, instrument: str, otlp: str, scrape: str | None
) -> None:
    """What the catalogue's table says goes wrong, goes wrong here too, and is seen."""
    one = metric(name=name, unit=unit, instrument=instrument)
    assert names.by_otlp(one) == otlp == otlp_name(name, unit, instrument)
    assert names.by_scrape(one) == (scrape or otlp)
