"""The file as a whole: what the model cannot see at one place alone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from tradespan import settings
from tradespan.cli.check.faults import Fault, Page, Place
from tradespan.cli.check.handoffs import check_handoffs
from tradespan.cli.check.stages import check_stages
from tradespan.mapping.config import Estate
from tradespan.mapping.load import FileError, load

_VARIABLE = re.compile(r"\$\{([A-Za-z_]\w*)\}")
_FAULT = re.compile(r"^.*?:(?P<line>\d+): (?P<path>[^:]*): (?P<message>.*)$", re.DOTALL)


def read(file: Path) -> tuple[list[Fault], Estate | None]:
    """Read the file and look at all of it.

    Returns:
        Every fault in the order of the lines, and the file unless it cannot be read.
    """
    environ = settings.environment()
    unset = list(_unset(file, environ))
    unset_paths = {fault.path for fault in unset}
    try:
        estate = load(file, environ)
    except FileError as error:
        faults = [_fault(file, text) for text in error.errors]
        return _sorted([*unset, *(f for f in faults if f.path not in unset_paths)]), None
    page = Page(str(file), file.read_text(encoding="utf-8"))
    for check in (_check_deployment, check_handoffs, check_stages, _check_services):
        check(estate, page)
    return _sorted([*unset, *page.faults]), estate


def _sorted(faults: Iterable[Fault]) -> list[Fault]:
    return sorted(faults, key=lambda fault: fault.line)


def _fault(file: Path, text: str) -> Fault:
    """One fault that the model found."""
    found = _FAULT.match(text)
    if found is None:
        return Fault("error", str(file), 1, "the file", text.removeprefix(f"{file}: "))
    path, line = found["path"], int(found["line"])
    message, _, hint = found["message"].partition("; ")
    if path == "no YAML":
        return Fault("error", str(file), line, "the file", f"no YAML: {message}", hint)
    return Fault("error", str(file), line, path, message, hint)


def _unset(file: Path, environ: Any) -> Iterator[Fault]:
    """Variables that the file names and nobody has set."""
    try:
        page = Page(str(file), file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return
    for place, text in _texts(page.tree, (), set()):
        for name in _VARIABLE.findall(text):
            if not environ.get(name):
                page.error(
                    place, f"${{{name}}} is not set here", f"set it, or write ${{{name}:-default}}"
                )
    yield from page.faults


def _texts(node: Any, place: Place, seen: set[int]) -> Iterator[tuple[Place, str]]:
    """Each text where it stands first; an anchor may come again, or lead back into itself."""
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.ScalarNode):
        yield place, str(node.value)
    elif isinstance(node, yaml.SequenceNode):
        for number, inner in enumerate(node.value):
            yield from _texts(inner, (*place, number), seen)
    elif isinstance(node, yaml.MappingNode):
        for key, inner in node.value:
            yield from _texts(inner, (*place, str(key.value)), seen)


def loopback(url: str) -> bool:
    """Whether an address is this machine's, or this container's, own."""
    host = urlsplit(url if "://" in url else f"//{url}").hostname or ""
    return host in ("localhost", "::1", "0.0.0.0") or host.startswith("127.")  # noqa: S104


def _check_deployment(estate: Estate, page: Page) -> None:
    """What cannot work between containers or hosts, and metrics that arrive twice."""
    deployment = estate.deployment
    if len(set(deployment.metrics)) > 1:
        page.error(
            ("deployment", "metrics"),
            "metrics by otlp and by scrape reach one Prometheus twice: every sum doubles",
            "keep one of them",
        )
    if deployment.where == "one_host":
        return
    if loopback(deployment.collector):
        said = "collector" in deployment.model_fields_set
        page.error(
            ("deployment", "collector") if said else ("deployment", "where"),
            f"{deployment.collector} is loopback, and another one in every "
            f"{deployment.where.removesuffix('s')}",
            "name the Collector's own host, like http://otel-collector:4318; where each place has "
            "a Collector of its own on loopback, say where: one_host",
        )
    for name, handoff in estate.handoffs.items():
        if handoff.key is None:
            continue
        if not handoff.store:
            page.error(
                ("handoffs", name),
                f"no store is named, so keys stay in a file of one {deployment.where[:-1]}",
                "store: redis://HOST:6379/0, which all of them reach",
            )
        elif handoff.store.startswith("sqlite") or loopback(handoff.store):
            page.error(
                ("handoffs", name, "store"),
                f"{_masked(handoff.store)} is local, and another one in every "
                f"{deployment.where.removesuffix('s')}",
                "store: redis://HOST:6379/0, which all of them reach",
            )


def _check_services(estate: Estate, page: Page) -> None:
    """Services with nothing mapped, and budgets that cannot be kept together."""
    for name, service in estate.services.items():
        if not any(getattr(service, field) for field in type(service).model_fields):
            page.warning(("services", name), "nothing of it is mapped")
    if not estate.services:
        page.warning(("services",), "no service is mapped")
    total, stages = estate.pipeline.budget, estate.pipeline.stages
    if total is not None and sum(stages.values()) > total:
        page.warning(
            ("pipeline", "budget"),
            f"{total:g} s is less than its stages together ({sum(stages.values()):g} s)",
        )


def _masked(url: str) -> str:
    return re.sub(r"(://)[^/@]*@", r"\1***@", url)
