"""Writes semconv/metrics/: a module for each registry file, and all of them together."""

from __future__ import annotations

from generator.model import Metric, Registry
from generator.source import FUTURE, header, text, words

BY_NAME = (
    ("call", "Histogram that tradespan.call(NAME) records."),
    ("value", "Gauge that tradespan.value(NAME, number) sets."),
    ("count", "Counter that tradespan.count(NAME) adds to."),
)


def modules(registry: Registry) -> dict[str, str]:
    """Source of each module, by its file name."""
    files = {f"{file}.py": _module(registry, file) for file in registry.files()}
    return {"__init__.py": _together(registry), "boundaries.py": _boundaries(registry), **files}


def _boundaries(registry: Registry) -> str:
    out = [header("Bucket boundaries, one set for each metric."), FUTURE]
    out.append("from typing import Final\n")
    for name, (values, reason) in registry.boundaries.items():
        inner = "".join(f"    {v},\n" for v in values)
        out.append(f'\n{name.upper()}: Final = (\n{inner})\n"""{reason}"""\n')
    return "".join(out)


def _module(registry: Registry, file: str) -> str:
    found = [m for m in registry.metrics if m.file == file]
    sets = sorted({m.boundaries.upper() for m in found if m.boundaries})
    out = [header(f"Metrics of registry/{file}.yaml."), FUTURE, "from typing import Final\n\n"]
    if sets:
        out.append(f"from tradespan.semconv.metrics.boundaries import {', '.join(sets)}\n")
    out.append("from tradespan.semconv.model import Metric\n\n")
    out += [_metric(metric) + "\n" for metric in found]
    out.append("METRICS: Final[tuple[Metric, ...]] = (\n")
    out += [f"    {m.constant},\n" for m in found if not m.template]
    out.append(')\n"""All of them, in the registry\'s order."""\n\n__all__ = [\n')
    out += [f"    {text(m.constant)},\n" for m in sorted(found, key=lambda m: m.constant)]
    out.append("]\n")
    return "".join(out)


def _metric(metric: Metric) -> str:
    lines = [
        f"{metric.constant}: Final = Metric(",
        f"    name={text(metric.name)},",
        f'    kind="{metric.instrument}",',
        f"    unit={text(metric.unit)},",
        f"    brief={text(metric.brief)},",
        f"    room={text(metric.room)},",
    ]
    if metric.labels:
        lines.append(f"    attributes={words(metric.labels)},")
    if metric.boundaries:
        lines.append(f"    boundaries={metric.boundaries.upper()},")
    if metric.values:
        inner = ", ".join(f"{text(k)}: {words(v)}" for k, v in metric.values.items())
        lines.append(f"    values={{{inner}}},")
    if metric.observed:
        lines.append("    observed=True,")
    if metric.template:
        lines.append(f"    template={text(metric.template)},")
        lines.append(f"    most={metric.limit},")
    return "\n".join([*lines, ")\n"])


def _together(registry: Registry) -> str:
    files = sorted(registry.files())
    out = [header("Every metric that tradespan emits."), FUTURE]
    out += ["from typing import Final, Literal\n\n", "from tradespan.semconv.metrics import (\n"]
    out += [f"    {file},\n" for file in files]
    out.append(")\n")
    out += [f"from tradespan.semconv.metrics.{file} import *\n" for file in files]
    out.append("from tradespan.semconv.model import Metric\n\n")
    out.append("METRICS: Final[tuple[Metric, ...]] = (\n")
    out += [f"    *{file}.METRICS,\n" for file in registry.files()]
    out.append(')\n"""All of them, in the registry\'s order; templates are none of them."""\n')
    for key, brief in BY_NAME:
        named = {m.called[key]: m for m in registry.metrics if key in m.called}
        out.append(f"\n{key.capitalize()}Name = Literal[\n")
        out += [f"    {text(name)},\n" for name in named]
        out.append(f"]\n{key.upper()}S: Final[dict[str, Metric]] = {{\n")
        out += [f"    {text(name)}: {m.file}.{m.constant},\n" for name, m in named.items()]
        out.append(f'}}\n"""{brief}"""\n')
    return "".join(out)
