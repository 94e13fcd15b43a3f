"""A lab that outlives the command that started it, found again through a file in the cache."""

from __future__ import annotations

import contextlib
import fcntl
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tradespan.lab import reaper
from tradespan.lab.errors import LabError
from tradespan.lab.plans import Addresses
from tradespan.lab.reaper import Identity
from tradespan.lab.stack import Stack
from tradespan.settings import ReadSettings


@dataclass(frozen=True, slots=True)
class Running:
    """A lab in the background, as its file says.

    Attributes:
        addresses: where it listens.
        processes: its programs, by name.
        folder: its data and logs.
    """

    addresses: Addresses
    processes: Mapping[str, Identity]
    folder: Path

    def ended(self) -> list[str]:
        """The programs that no longer run."""
        return [name for name, process in self.processes.items() if not reaper.alive(process)]


def read(settings: ReadSettings) -> Running | None:
    """The lab in the background, or None if there is none.

    Raises:
        LabError: its file is not one of ours, or of another version.
    """
    try:
        state = json.loads(_file(settings).read_text())
        processes = {name: Identity(*identity) for name, identity in state["processes"].items()}
        return Running(Addresses(**state["addresses"]), processes, Path(state["folder"]))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        hint = "end the processes that it names, and remove it"
        raise LabError(f"{_file(settings)} cannot be read: {error!r}", hint) from None


def up(
    settings: ReadSettings,
    *,
    ports: Mapping[str, int],
    overlays: Sequence[str],
    report: Callable[[str], None],
) -> tuple[Running, bool]:
    """Start a lab that stays, or find the one that runs.

    Arguments:
        settings: the cache folder and the environment.
        ports: wanted numbers by name; the others are the usual ones where they are free.
        overlays: of the Collector.
        report: takes progress lines.

    Returns:
        the lab, and whether it was started just now.

    Raises:
        ConfigError: a port that is taken, or that does not exist.
        LabError: a program cannot be built or started, a lab with other ports or overlays runs,
            or the file of the last lab is damaged.
    """
    with _locked(settings):
        found = read(settings)
        if found and not found.ended():
            if ports or overlays:
                hint = "`tradespan lab down` first; then start it with the ports and overlays"
                raise LabError("the lab is running already, as it was started", hint)
            return found, False
        if found:
            report(f"cleaning up a lab whose {', '.join(found.ended())} ended")
            _remove(found, settings)
        shutil.rmtree(_data(settings), ignore_errors=True)  # of an `up` that was killed
        stack = Stack(
            settings,
            ports=ports,
            standard_ports=True,
            overlays=overlays,
            report=report,
            folder=_data(settings),
        )
        return _leave_running(stack, settings), True


def _leave_running(stack: Stack, settings: ReadSettings) -> Running:
    """Start it, and write down what `down` needs; what cannot be written down is stopped."""
    stack.start()
    processes = {name: child.identity for name, child in stack.children.items()}
    running = Running(stack.addresses, processes, stack.folder)
    try:
        _write(running, settings)
    except BaseException:
        stack.stop()
        raise
    stack.leave_running()
    return running


def down(settings: ReadSettings) -> Running | None:
    """End the lab in the background and remove all it left.

    Returns:
        what was ended, or None if there was nothing.

    Raises:
        LabError: the file that says what to end is damaged.
    """
    with _locked(settings):
        found = read(settings)
        if found:
            _remove(found, settings)
        return found


def _remove(running: Running, settings: ReadSettings) -> None:
    reaper.end(running.processes.values())
    shutil.rmtree(running.folder, ignore_errors=True)
    _file(settings).unlink(missing_ok=True)


def _write(running: Running, settings: ReadSettings) -> None:
    state = {
        "addresses": asdict(running.addresses),
        "processes": running.processes,
        "folder": str(running.folder),
    }
    draft = _file(settings).with_suffix(".new")
    draft.write_text(json.dumps(state, indent=2) + "\n")
    draft.replace(_file(settings))


@contextlib.contextmanager
def _locked(settings: ReadSettings) -> Iterator[None]:
    """One `up` or `down` at a time."""
    _folder(settings).mkdir(parents=True, exist_ok=True)
    with (_folder(settings) / ".lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _folder(settings: ReadSettings) -> Path:
    return settings.cache / "lab"


def _data(settings: ReadSettings) -> Path:
    return _folder(settings) / "data"


def _file(settings: ReadSettings) -> Path:
    return _folder(settings) / "state.json"
