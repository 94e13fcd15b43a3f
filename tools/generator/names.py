"""The name under which Prometheus shows a metric, on both ways there.

By OTLP Prometheus' own translator makes it; on /metrics opentelemetry-exporter-prometheus does.
They differ in what the rules forbid; tests/unit/test_registry.py holds both against the real ones.
"""

from __future__ import annotations

import re

from generator.model import Metric

UNITS = {"d": "days", "h": "hours", "min": "minutes", "s": "seconds", "ms": "milliseconds",
         "us": "microseconds", "ns": "nanoseconds", "By": "bytes", "%": "percent"}  # fmt: skip
PER = {"s": "second", "min": "minute", "m": "minute", "h": "hour", "d": "day"}


def unit_word(unit: str) -> str:
    """What a unit adds to the name, without what stands in braces."""
    top, _, bottom = re.sub(r"{.*?}", "", unit).partition("/")
    word = UNITS.get(top, "" if top == "1" else re.sub(r"[^a-zA-Z0-9]+", "_", top).strip("_"))
    per = f"per_{PER.get(bottom, bottom)}" if bottom else ""
    return "_".join(part for part in (word, per) if part)


def by_scrape(metric: Metric) -> str:
    """The name on /metrics."""
    name = re.sub(r"[^a-zA-Z0-9:]+", "_", metric.name)
    word = unit_word(metric.unit)
    if word and not name.endswith(f"_{word}"):
        name = f"{name}_{word}"
    if metric.instrument == "counter" and not name.endswith("_total"):
        name = f"{name}_total"
    return f"{name}_*" if metric.template else name


def by_otlp(metric: Metric) -> str:
    """The name in a Prometheus that was sent OTLP."""
    name = by_scrape(metric)
    if metric.unit == "1" and metric.instrument == "gauge":
        return f"{name}_ratio"
    return name


def kind(metric: Metric) -> str:
    """The type that Prometheus shows."""
    return "gauge" if metric.instrument == "updowncounter" else metric.instrument


def series(metric: Metric) -> set[str]:
    """Names of all its series."""
    name = by_scrape(metric)
    if metric.instrument != "histogram":
        return {name}
    return {name, *(f"{name}_{suffix}" for suffix in ("bucket", "count", "sum"))}
