"""Reads the registry strictly: Weaver's v1 groups, no key that is not known, none twice."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from generator.model import Attribute, Metric, Registry, RegistryError

FIRST = ("journeys", "crypto")  # the other files follow by name
APART = ("attributes", "boundaries", "stages")
TYPES = ("string", "int", "double", "boolean")
INSTRUMENTS = ("counter", "updowncounter", "histogram", "gauge")
CALLED = ("call", "value", "count")
GROUP = {"id", "type", "brief", "note", "stability", "annotations"}


class _Loader(yaml.SafeLoader):
    """Says when a key stands twice, which YAML forbids and PyYAML lets pass."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = {str(key) for key in keys if keys.count(key) > 1}
        if twice:
            line = node.start_mark.line + 1
            raise RegistryError(f"line {line}: {', '.join(sorted(twice))} stands there twice")
        return super().construct_mapping(node, deep)


def read(folder: Path) -> Registry:
    """The registry in a folder.

    Raises:
        RegistryError: it is not of the form; names file and entry.
    """
    files = {path.stem: _parsed(path) for path in sorted(folder.glob("*.yaml"))}
    missing = [name for name in APART if name not in files]
    if missing:
        raise RegistryError(f"{missing[0]}.yaml is not there")
    spans, labels = _attributes(files["attributes"])
    rest = [name for name in files if name not in (*FIRST, *APART)]
    order = [name for name in (*FIRST, *rest) if name in files]
    return Registry(
        spans=spans,
        labels=labels,
        metrics=tuple(m for name in order for m in _metrics(name, files[name])),
        boundaries=_boundaries(files["boundaries"]),
        stages=files["stages"],
    )


def _parsed(path: Path) -> Any:
    try:
        return yaml.load(path.read_text(), _Loader)  # noqa: S506 - a SafeLoader
    except (yaml.YAMLError, RegistryError) as error:
        raise RegistryError(f"{path.name}: {error}") from None


def _keys(
    where: str, found: Any, required: Iterable[str], allowed: Iterable[str] = ()
) -> Mapping[str, Any]:
    """The mapping, which has all required keys and none but the allowed ones."""
    if not isinstance(found, Mapping):
        raise RegistryError(f"{where}: a mapping is wanted, not {found!r}")
    missing = sorted(set(required) - set(found))
    unknown = sorted(set(found) - set(required) - set(allowed))
    if missing:
        raise RegistryError(f"{where}: {', '.join(missing)} is missing")
    if unknown:
        raise RegistryError(f"{where}: unknown key {', '.join(unknown)}")
    return found


def _groups(name: str, parsed: Any) -> list[Any]:
    groups = _keys(f"{name}.yaml", parsed, ["groups"])["groups"]
    if not isinstance(groups, list):
        raise RegistryError(f"{name}.yaml: groups is a list")
    return groups


def _own(where: str, entry: Mapping[str, Any], allowed: Iterable[str]) -> Mapping[str, Any]:
    annotations = _keys(where, entry.get("annotations", {}), [], ["tradespan"])
    return _keys(f"{where}, annotations", annotations.get("tradespan", {}), [], allowed)


def _attributes(parsed: Any) -> tuple[tuple[Attribute, ...], tuple[Attribute, ...]]:
    found: dict[str, tuple[Attribute, ...]] = {}
    for group in _groups("attributes", parsed):
        named = group.get("id") if isinstance(group, Mapping) else group
        where = f"attributes.yaml, group {named}"
        _keys(where, group, ["id", "type", "brief", "attributes"], GROUP)
        found[group["id"]] = tuple(_attribute(a) for a in group["attributes"])
    if set(found) != {"registry.trading", "registry.trading.metric"}:
        raise RegistryError("attributes.yaml: groups registry.trading and registry.trading.metric")
    return found["registry.trading"], found["registry.trading.metric"]


def _attribute(entry: Any) -> Attribute:
    where = f"attributes.yaml, {entry.get('id') if isinstance(entry, Mapping) else entry}"
    allowed = ("examples", "annotations", "note", "stability")
    _keys(where, entry, ["id", "type", "brief"], allowed)
    own, kind = _own(where, entry, ("limit", "symbols")), entry["type"]
    members: tuple[str, ...] = ()
    if isinstance(kind, Mapping):
        listed = _keys(f"{where}, type", kind, ["members"])["members"]
        members = tuple(_keys(where, m, ["id", "value"], GROUP)["value"] for m in listed)
        kind = "enum"
    elif kind not in TYPES:
        raise RegistryError(f"{where}: type is one of {', '.join(TYPES)} or has members")
    return Attribute(
        "attributes", entry["id"], kind, entry["brief"], members,
        own.get("limit"), own.get("symbols", False),
    )  # fmt: skip


def _metrics(file: str, parsed: Any) -> Iterable[Metric]:
    for group in _groups(file, parsed):
        where = f"{file}.yaml, {group.get('metric_name') if isinstance(group, Mapping) else group}"
        required = ("id", "type", "brief", "metric_name", "instrument", "unit", "attributes")
        _keys(where, group, required, GROUP)
        own = _own(
            where, group,
            ("room", "question", "catalogue", "boundaries", "values", *CALLED, "observed",
             "template", "limit"),
        )  # fmt: skip
        if group["type"] != "metric" or group["id"] != f"metric.{group['metric_name']}":
            raise RegistryError(f"{where}: type is metric, id is metric.{group['metric_name']}")
        if group["instrument"] not in INSTRUMENTS:
            raise RegistryError(f"{where}: instrument is one of {', '.join(INSTRUMENTS)}")
        for key in ("room", "question"):
            if not own.get(key):
                raise RegistryError(f"{where}: annotations.tradespan.{key} is missing")
        yield Metric(
            file=file,
            name=group["metric_name"],
            instrument=group["instrument"],
            unit=str(group["unit"]),
            brief=group["brief"],
            labels=tuple(_keys(where, a, ["ref"])["ref"] for a in group["attributes"]),
            room=own["room"],
            question=own["question"],
            section=own.get("catalogue"),
            boundaries=own.get("boundaries"),
            values={k: tuple(v) for k, v in own.get("values", {}).items()},
            called={k: own[k] for k in CALLED if k in own},
            observed=own.get("observed", False),
            template=own.get("template"),
            limit=own.get("limit"),
        )


def _boundaries(parsed: Any) -> dict[str, tuple[tuple[float, ...], str]]:
    found = {}
    for name, entry in _keys("boundaries.yaml", parsed, [], parsed).items():
        where = f"boundaries.yaml, {name}"
        _keys(where, entry, ["reason", "values"])
        values = tuple(float(v) for v in entry["values"])
        if list(values) != sorted(set(values)):
            raise RegistryError(f"{where}: the values rise, each stands there once")
        found[name] = (values, entry["reason"])
    return found
