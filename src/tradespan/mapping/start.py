"""Start of the mapping in a service: find the file, apply it, and tell the truth about it."""

from __future__ import annotations

import gc
import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from tradespan import journey as journeys
from tradespan.mapping import reading
from tradespan.mapping.record import Record
from tradespan.settings import ConfigError

log = logging.getLogger("tradespan")
NAME = "tradespan.yaml"
_NEVER_FIRED_AFTER = 60.0
_SUMMARY_AFTER = 5.0

current: Record | None = None
"""What became of every target of this process, for /health."""


def find(given: str, folder: Path) -> Path | None:
    """The file that applies: the one that was named, else upwards from the working folder.

    Raises:
        ConfigError: the named one is not there.
    """
    if given:
        path = Path(given).expanduser()
        if not path.is_file():
            raise ConfigError("TRADESPAN_CONFIG", given, "there is no such file")
        return path
    return next((d / NAME for d in (folder, *folder.parents) if (d / NAME).is_file()), None)


def start(given: str, service: str, environ: Mapping[str, str]) -> Record | None:
    """Apply the file that applies here, if there is one.

    Arguments:
        given: TRADESPAN_CONFIG.
        service: OTEL_SERVICE_NAME.
        environ: what `${NAME}` in the file stands for.

    Raises:
        ConfigError: the file cannot be used; names every fault.
    """
    global current
    file = find(given, Path.cwd())
    if file is None:
        return None
    with _uncollected():
        from tradespan.mapping.load import load  # pydantic and yaml only where there is a file
        from tradespan.mapping.service import apply

        estate = load(file, environ)
    _settle(estate)
    if service not in estate.services:
        log.warning(
            "%s maps no service %r (OTEL_SERVICE_NAME): it has %s",
            file, service, ", ".join(estate.services) or "none",
        )  # fmt: skip
    current = record = apply(estate, service)
    _later(_SUMMARY_AFTER, lambda: _say_summary(record, service, file))
    _later(_NEVER_FIRED_AFTER, lambda: _say_never_fired(record, service, file))
    return record


@contextmanager
def _uncollected() -> Iterator[None]:
    """What a file makes is many and stays: to look among it for garbage takes time, in vain."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()


def _settle(estate: Any) -> None:
    """What the file says of pipeline and propagation; the environment's word wins."""
    now = journeys.settings
    mapped = {
        n: s.budget for service in estate.services.values() for n, s in service.stages.items()
    }
    budgets = {
        **estate.pipeline.stages,
        **{name: budget for name, budget in mapped.items() if budget is not None},
        **({"total": estate.pipeline.budget} if estate.pipeline.budget is not None else {}),
        **now.budgets,
    }
    limits = {
        name: stage.spans
        for service in estate.services.values()
        for name, stage in service.stages.items()
        if stage.spans is not None
    }
    journeys.settings = replace(
        now,
        pipeline=estate.pipeline.name if now.pipeline == "default" else now.pipeline,
        budgets=budgets,
        stage_spans={**limits, **now.stage_spans},
        propagate_to=(*now.propagate_to, *(h.lower() for h in estate.propagate.to)),
        propagate_never=(*now.propagate_never, *(h.lower() for h in estate.propagate.never)),
    )


def _say_summary(record: Record, service: str, file: Path) -> None:
    whole = all(entry.state == "wrapped" and not entry.why for entry in record.entries)
    log.log(logging.INFO if whole else logging.WARNING, "%s", record.summary(service, file.name))


def _say_never_fired(record: Record, service: str, file: Path) -> None:
    silent = record.never_fired()
    if silent:
        targets = ", ".join(entry.target for entry in silent)
        log.warning("%s: %s: never fired in the first minute: %s", file.name, service, targets)
    for line in reading.led_nowhere():
        log.warning("%s: %s", file.name, line)


def _later(seconds: float, tell: Any) -> None:
    timer = threading.Timer(seconds, tell)
    timer.daemon = True
    timer.start()
