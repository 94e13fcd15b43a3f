"""Start of the mapping in a service: find the file, apply it, and tell the truth about it."""

from __future__ import annotations

import atexit
import gc
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from tradespan import settings as setting
from tradespan.guard import guard
from tradespan.mapping import holders, reading
from tradespan.mapping.record import Record
from tradespan.settings import ConfigError

log = logging.getLogger("tradespan")
_REST = guard("mapping.rest")
NAME = "tradespan.yaml"
_NEVER_FIRED_AFTER = 60.0
_SUMMARY_AFTER = 5.0
_LOOK = 1.0  # seconds between two looks at what is imported

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
    _settle(estate, service)
    if service not in estate.services:
        log.warning(
            "%s maps no service %r (OTEL_SERVICE_NAME): it has %s",
            file, service, ", ".join(estate.services) or "none",
        )  # fmt: skip
    current = record = apply(estate, service, file.parent)
    telling = _Telling(record, service, file.name)
    _later(_SUMMARY_AFTER, telling.summary)
    _later(_NEVER_FIRED_AFTER, telling.silence)
    atexit.register(telling.rest)
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


def _settle(estate: Any, service: str) -> None:
    """What the file says of pipeline and propagation; the environment's word wins."""
    now = setting.current
    mapped = estate.services.get(service)
    stages = mapped.stages if mapped else {}
    budgets = {
        **estate.pipeline.stages,
        **{name: stage.budget for name, stage in stages.items() if stage.budget is not None},
        **({"total": estate.pipeline.budget} if estate.pipeline.budget is not None else {}),
        **now.budgets,
    }
    limits = {name: stage.spans for name, stage in stages.items() if stage.spans is not None}
    setting.current = replace(
        now,
        pipeline=estate.pipeline.name if now.pipeline == "default" else now.pipeline,
        budgets=budgets,
        stage_spans={**limits, **now.stage_spans},
        propagate_to=(*now.propagate_to, *(h.lower() for h in estate.propagate.to)),
        propagate_never=(*now.propagate_never, *(h.lower() for h in estate.propagate.never)),
    )


class _Telling:
    """Tells the truth once: each part after a while, or all the rest when the process ends sooner.

    Arguments:
        record: what became of the targets.
        service: its name.
        file: the file's name.
    """

    def __init__(self, record: Record, service: str, file: str) -> None:
        self._record, self._service, self._file = record, service, file
        self._process = os.getpid()
        self._left = {"summary", "silence"}

    def summary(self) -> None:
        """Say which targets are wrapped, and who else holds their functions."""
        self._left.discard("summary")
        holders.name_them(self._record.entries)
        log.log(self._level(), "%s", self._record.summary(self._service, self._file))

    def silence(self) -> None:
        """Say which of them were never called, and which paths led nowhere."""
        self._left.discard("silence")
        if silent := self._silent():
            log.warning(
                "%s: %s: never fired in the first minute: %s", self._file, self._service, silent
            )
        for line in reading.led_nowhere():
            log.warning("%s: %s", self._file, line)

    def rest(self) -> None:
        """Say in one line what was not said; nothing in the children of a service."""
        with _REST:
            if self._process != os.getpid() or _is_a_child():
                return
            who, lines, level = f"{self._file}: {self._service}: ", list[str](), logging.WARNING
            if "silence" in self._left:
                silent = self._silent()
                lines = [f"never fired: {silent}"] if silent else []
                lines += reading.led_nowhere()
            if "summary" in self._left:
                level = level if lines else self._level()
                summary = self._record.summary(self._service, self._file)
                lines.insert(0, summary.removeprefix(who))
            if lines:
                log.log(level, "%s%s", who, "; ".join(lines))

    def _level(self) -> int:
        whole = all(e.state == "wrapped" and not e.why for e in self._record.entries)
        return logging.INFO if whole else logging.WARNING

    def _silent(self) -> str:
        return ", ".join(entry.target for entry in self._record.never_fired())


def _is_a_child() -> bool:
    """Whether this is a process of multiprocessing, of which there may be many."""
    loaded = sys.modules.get("multiprocessing")
    return loaded is not None and loaded.parent_process() is not None


def _later(seconds: float, tell: Callable[[], None], loaded: int = 0, looks: int = 60) -> None:
    """Tell after some seconds; a service that still imports is not up, and has one more each time.

    Arguments:
        seconds: the last of them is for a look at what is imported.
        tell: what there is to say.
        loaded: modules at the last look.
        looks: how many there may still be.
    """

    def look() -> None:
        now = len(sys.modules)
        if now != loaded and looks:
            _later(_LOOK, tell, now, looks - 1)
        else:
            tell()

    timer = threading.Timer(seconds if loaded else seconds - _LOOK, look)
    timer.daemon = True
    timer.start()
