"""Our families and the application's own in one answer: each name once, the application's first."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable

from prometheus_client.metrics_core import Metric
from prometheus_client.samples import Sample

from tradespan.guard import guard

log = logging.getLogger("tradespan")

_SUFFIXES = {
    "counter": ("_total", "_created"),
    "summary": ("_sum", "_count", "_created"),
    "histogram": ("_bucket", "_sum", "_count", "_created"),
    "gaugehistogram": ("_bucket", "_gsum", "_gcount"),
    "info": ("_info",),
}
_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*\Z")
_SUMMED = ("counter", "histogram")
_MERGE = guard("metrics.merge")

_said: set[str] = set()


def merge(ours: Iterable[Metric], theirs: Iterable[Metric]) -> list[Metric]:
    """All families, the application's untouched, ours where the name is free.

    Arguments:
        ours: as translated; one name may come more than once.
        theirs: of the application's own prometheus_client registry.
    """
    kept = [_clean(family) for family in theirs]
    taken = {name for family in kept for name in _names(family)}
    free: dict[str, Metric] = {}
    suppressed = []
    for family in ours:
        if _names(family) & taken:
            suppressed.append(family.name)
            continue
        with _MERGE:
            _add(free, family)
    _say(suppressed)
    return [*kept, *(family for family in free.values() if family.samples)]


def _names(family: Metric) -> set[str]:
    """Every name that the family may have on a line."""
    return {family.name, *(family.name + end for end in _SUFFIXES.get(family.type, ()))}


def _add(found: dict[str, Metric], family: Metric) -> None:
    """Add a family; what two scopes count under one name and the same labels is one figure."""
    known = found.setdefault(family.name, family)
    if known.type != family.type:
        raise ValueError(f"{family.name} is a {known.type} and a {family.type}")
    samples: dict[tuple[str, tuple[tuple[str, str], ...]], Sample] = {}
    for one in [] if known is family else known.samples:
        samples[one.name, tuple(sorted(one.labels.items()))] = one
    if known is not family and family.type == "histogram" and _bounds(known) != _bounds(family):
        raise ValueError(f"{family.name} has two sets of buckets")
    for raw in family.samples:
        one = _clean_sample(raw)
        key = one.name, tuple(sorted(one.labels.items()))
        if key in samples and family.type in _SUMMED:
            one = one._replace(value=samples[key].value + one.value)
        samples[key] = one
    known.samples = list(samples.values())


def _bounds(family: Metric) -> set[str]:
    return {one.labels["le"] for one in family.samples if "le" in one.labels}


def _clean(family: Metric) -> Metric:
    """The family, with label values that can be written."""
    if all(value.isascii() for one in family.samples for value in one.labels.values()):
        return family
    same = Metric(family.name, family.documentation, family.type, family.unit)
    same.samples = [_clean_sample(one, names=False) for one in family.samples]
    return same


def _clean_sample(one: Sample, *, names: bool = True) -> Sample:
    """The sample without labels that no parser reads, and with values that UTF-8 can say."""
    labels = one.labels
    bad = names and not all(_NAME.match(name) for name in labels)
    if not bad and all(value.isascii() for value in labels.values()):
        return one
    written = {
        name: value.encode("utf-8", "replace").decode()
        for name, value in labels.items()
        if not names or _NAME.match(name)
    }
    return one._replace(labels=written)


def _say(suppressed: Iterable[str]) -> None:
    new = sorted(set(suppressed) - _said)
    _said.update(new)
    if new:
        log.warning(
            "/metrics: the application's own prometheus_client metrics win over ours of the same "
            "name: %s",
            ", ".join(new),
        )
