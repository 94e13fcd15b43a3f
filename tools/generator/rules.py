"""What a registry must keep to, so that every path into Prometheus gives the same name."""

from __future__ import annotations

import re

from generator import names
from generator.model import Attribute, Metric, Registry, RegistryError

NAME = re.compile(r"^[a-z][a-z0-9]*([._][a-z0-9]+)*\Z")
KEY = re.compile(r"^[a-z][a-z0-9_]*\Z")
WORDS = re.compile(r"(_|\.)(seconds|milliseconds|bytes|usd|percent|ratio|s|sec|total)\Z")
EXCEPTIONS = ("total_return_pct", "max_drawdown_pct", "training_policy_latency_ms")
"""The catalogue's names that hold a unit; theirs stands in braces, or it would be added again."""


def check(registry: Registry) -> Registry:
    """The registry, which keeps to every rule.

    Raises:
        RegistryError: it breaks one; names file and entry.
    """
    keys = [a.key for a in (*registry.spans, *registry.labels)]
    _once("attributes.yaml", "attribute", keys)
    for attribute in registry.labels:
        _label(attribute)
    _once("the registry", "metric", [m.name for m in registry.metrics])
    taken: dict[str, Metric] = {}
    for metric in registry.metrics:
        _metric(metric)
        _unit(metric)
        _labels(metric, registry)
        if metric.name in keys:
            raise _error(metric, "an attribute has this name")
        if metric.boundaries and metric.boundaries not in registry.boundaries:
            raise _error(metric, f"boundaries.yaml has no {metric.boundaries}")
        for name in names.series(metric):
            other = taken.setdefault(name, metric)
            if other is not metric:
                raise _error(metric, f"{other.name} is {name} in Prometheus too")
    _stages(registry)
    return registry


def _error(metric: Metric, text: str) -> RegistryError:
    return RegistryError(f"{metric.file}.yaml, {metric.name}: {text}")


def _once(where: str, what: str, found: list[str]) -> None:
    twice = sorted({name for name in found if found.count(name) > 1})
    if twice:
        raise RegistryError(f"{where}: {what} {', '.join(twice)} stands there twice")


def _label(attribute: Attribute) -> None:
    where = f"attributes.yaml, {attribute.key}"
    if not KEY.match(attribute.key):
        raise RegistryError(f"{where}: a metric attribute is bare, lower case")
    if bool(attribute.members) == (attribute.limit is not None):
        raise RegistryError(f"{where}: a metric attribute has members or a limit, one of them")
    if attribute.limit is not None and attribute.limit < 1:
        raise RegistryError(f"{where}: the limit is a number from 1")


def _metric(metric: Metric) -> None:
    if not NAME.match(metric.name):
        raise _error(metric, "a name is lower case words, joined by dots or underscores")
    if not metric.brief.endswith("."):
        raise _error(metric, "the brief is a sentence")
    if not metric.question.endswith("?"):
        raise _error(metric, "the question is one")
    if metric.section not in (None, 1, 2, 3, 4, 5):
        raise _error(metric, "catalogue is a section from 1 to 5")
    if (metric.boundaries is not None) != (metric.instrument == "histogram"):
        raise _error(metric, "a histogram names its boundaries, and only a histogram does")
    if metric.template and (metric.instrument != "gauge" or metric.labels or not metric.limit):
        raise _error(metric, "a template is a gauge without attributes, with a limit")
    if metric.observed and metric.instrument == "histogram":
        raise _error(metric, "a histogram cannot be observed")


def _unit(metric: Metric) -> None:
    """The traps of the catalogue's table."""
    unit = metric.unit
    if unit == "1" and metric.instrument != "histogram":
        raise _error(metric, "unit 1 becomes _ratio by OTLP only: write {ratio}, {status}, {x}")
    if re.fullmatch(r"[^{}]*[A-Z][^{}]*", unit) and unit not in names.UNITS:
        raise _error(metric, f"unit {unit} stands in the name as it is: write it small, or in {{}}")
    if unit in ("%", "ms"):
        raise _error(metric, f"unit {unit} adds a word to the name: write {{percent}}, {{ms}} or s")
    if not unit:
        raise _error(metric, "every metric has a unit")
    if WORDS.search(metric.name):
        raise _error(metric, "a name holds no unit and no total: Prometheus adds them")
    if re.search(r"_(pct|ms)\Z", metric.name) and (
        metric.name not in EXCEPTIONS or not unit.startswith("{")
    ):
        raise _error(metric, "a unit in the name: only the catalogue's three, with {percent}, {ms}")
    if names.by_otlp(metric) != names.by_scrape(metric):
        raise _error(metric, f"{names.by_otlp(metric)} by OTLP, {names.by_scrape(metric)} else")


def _labels(metric: Metric, registry: Registry) -> None:
    known = {a.key for a in registry.labels}
    for key in metric.labels:
        if key not in known:
            raise _error(metric, f"attributes.yaml declares no metric attribute {key}")
    if len(set(metric.labels)) != len(metric.labels):
        raise _error(metric, "an attribute stands there twice")
    stray = sorted(set(metric.values) - set(metric.labels))
    if stray:
        raise _error(metric, f"values of {', '.join(stray)}, which it does not have")


def _stages(registry: Registry) -> None:
    wanted = {"values", "labels", "feeds", "stages"}
    if set(registry.stages) != wanted:
        raise RegistryError(f"stages.yaml: has {', '.join(sorted(wanted))}")
    known = {metric.name for metric in registry.metrics}
    spans = {attribute.key for attribute in registry.spans}
    for value, key in registry.stages["values"].items():
        if key not in spans:
            raise RegistryError(f"stages.yaml, values.{value}: no span attribute {key}")
    for name, stage in registry.stages["stages"].items():
        unknown = sorted(set(stage) - {"brief", "begins", "ends", "labels", "feeds"})
        if unknown:
            raise RegistryError(f"stages.yaml, {name}: unknown key {', '.join(unknown)}")
        for feed in (*stage["feeds"], *registry.stages["feeds"]):
            if feed["metric"] not in known or set(feed) - {"metric", "from", "outcomes"}:
                raise RegistryError(f"stages.yaml, {name}: no such feed {feed}")
