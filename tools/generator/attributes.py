"""Writes semconv/attributes.py."""

from __future__ import annotations

from generator.model import Registry
from generator.source import FUTURE, constant, header, text, words


def module(registry: Registry) -> str:
    """Source of semconv/attributes.py."""
    out = [header("Names of attributes, and what their values may be.")]
    out += [FUTURE, "from typing import Final\n\n"]
    for a in registry.spans:
        out.append(f'{constant(a.key)}: Final = {text(a.key)}\n"""{a.brief}"""\n')
    enums = {a.key: a.members for a in (*registry.spans, *registry.labels) if a.members}
    out.append("\nENUMS: Final[dict[str, tuple[str, ...]]] = {\n")
    for name, values in sorted(enums.items()):
        out.append(f"    {text(name)}: (\n")
        out += [f"        {text(v)},\n" for v in values]
        out.append("    ),\n")
    out.append('}\n"""Declared values, by attribute; metrics may narrow them."""\n')
    out.append("\nLIMITS: Final[dict[str, int]] = {\n")
    out += [f"    {text(a.key)}: {a.limit},\n" for a in registry.labels if a.limit]
    out.append('}\n"""Most distinct values of a metric attribute in a process."""\n')
    symbols = words(a.key for a in registry.labels if a.symbols)
    out.append(f"\nSYMBOLS: Final = {symbols}\n")
    out.append('"""Metric attributes that the user\'s limit of symbols holds for."""\n')
    out.append("\nSPAN_VALUES: Final[dict[str, str]] = {\n")
    out += [f"    {text(k)}: {constant(v)},\n" for k, v in registry.stages["values"].items()]
    out.append('}\n"""Span attribute of a stage\'s value."""\n')
    return "".join(out)
