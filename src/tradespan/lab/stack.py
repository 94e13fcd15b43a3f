"""The lab: the real Collector and the real backends on loopback, as a context manager."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from tradespan.lab import plans, reaper
from tradespan.lab.build import build
from tradespan.lab.children import Child, Guard
from tradespan.lab.errors import LabError
from tradespan.lab.plans import Addresses, Plan
from tradespan.lab.ports import STANDARD, Ports
from tradespan.lab.programs import catalogue
from tradespan.settings import ReadSettings, read_settings

# Proxies of the environment are for the outside, never for our own loopback.
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Stack:
    """Collector, Prometheus, Jaeger, Loki and Alertmanager with the shipped configurations.

    `with Stack() as stack:` has all of them ready inside, and nothing left of them after, also when
    this process is killed.

    Attributes:
        addresses: where they listen; known after `start`.
        ports: the numbers, by name; known after `start`.
        folder: data, logs and rendered files; made by `start`, removed by `stop`.
        children: the programs that were started, by name.
    """

    addresses: Addresses
    ports: Mapping[str, int]
    folder: Path

    def __init__(
        self,
        settings: ReadSettings | None = None,
        *,
        programs: Collection[str] | None = None,
        ports: Mapping[str, int] | None = None,
        standard_ports: bool = False,
        environment: Mapping[str, str] | None = None,
        overlays: Sequence[str | Path] = (),
        report: Callable[[str], None] = lambda _line: None,
        folder: Path | None = None,
        ready_within: float = 60.0,
    ) -> None:
        """Describe a lab; nothing is started yet.

        Arguments:
            settings: the cache folder and the environment; read from the process if not given.
            programs: which to start; all of the lab's if not given.
            ports: wanted numbers by name (see `ports.STANDARD`).
            standard_ports: take the usual numbers where they are free.
            environment: variables of the programs on top, such as `FAST`.
            overlays: of the Collector, by name or path.
            report: takes progress lines.
            folder: where to keep data, must not exist yet; a temporary one if not given.
            ready_within: seconds that the programs have to become ready.
        """
        self._settings = settings or read_settings()
        self._programs = programs
        self._wanted_ports = dict(ports or {})
        self._standard_ports = standard_ports
        self._environment = dict(environment or {})
        self._overlays = overlays
        self._report = report
        self._wanted_folder = folder
        self._ready_within = ready_within
        self._made: Path | None = None  # a folder of ours, and so ours to remove
        self._guard: Guard | None = None
        self._plans: dict[str, Plan] = {}
        self._binaries: dict[str, Path] = {}
        self.children: dict[str, Child] = {}

    def __enter__(self) -> Stack:
        """Start."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self.stop()

    @property
    def environment(self) -> dict[str, str]:
        """What a service needs in its environment to send its telemetry here."""
        return {
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.addresses.otlp_http,
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        }

    def start(self) -> None:
        """Build what is missing, start all and wait until each is ready.

        Raises:
            ConfigError: a port that is taken, or that does not exist.
            LabError: a program cannot be built or started, or did not become ready.
        """
        wanted = [p for p in catalogue().values() if p.lab and self._is_wanted(p.name)]
        self._binaries = build(wanted, self._settings, self._report)
        with Ports(self._wanted_ports, standard=self._standard_ports) as ports:
            self.ports, self.addresses = ports.numbers, plans.addresses(ports.numbers)
            if self._standard_ports:
                self._tell_moved(ports.moved())
            self.folder = self._made = self._make_folder()
            try:
                self._guard = Guard(self.folder)
                found = plans.plans(self.folder, self.ports, self._overlays)
                self._plans = {p.name: p for p in found if p.name in self._binaries}
                for name in self._plans:
                    self._launch(name)
                self._wait(list(self._plans))
            except BaseException:
                self.stop()
                raise

    def stop(self, grace: float = 5.0) -> None:
        """End all, by force after `grace` seconds, and remove the folder; never raises."""
        reaper.end([c.identity for c in self.children.values()], grace)
        for child in self.children.values():
            child.reap()
        self.children.clear()
        if self._made:
            shutil.rmtree(self._made, ignore_errors=True)
            self._made = None
        if self._guard:
            self._guard.dismiss()
            self._guard = None

    def leave_running(self) -> None:
        """Let the programs outlive this process; whoever ends them needs their identities."""
        if self._guard:
            self._guard.dismiss()
            self._guard = None

    def kill(self, name: str) -> None:
        """End one program at once, as a crash would (SIGKILL)."""
        child = self.children.pop(name)
        reaper.end([child.identity], grace=0.0)
        child.reap()

    def restart(self, name: str) -> None:
        """Start a program again on its old ports and data, ended before or not.

        Raises:
            LabError: it did not become ready.
        """
        if child := self.children.pop(name, None):
            reaper.end([child.identity])
            child.reap()
        self._launch(name)
        self._wait([name])

    def log(self, name: str) -> str:
        """All that a program has written so far."""
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def _is_wanted(self, name: str) -> bool:
        return self._programs is None or name in self._programs

    def _tell_moved(self, moved: Mapping[str, int]) -> None:
        for name, number in moved.items():
            if name not in self._wanted_ports:
                self._report(f"port {STANDARD[name]} ({name}) is taken; {number} instead")

    def _make_folder(self) -> Path:
        if self._wanted_folder is None:
            return Path(tempfile.mkdtemp(prefix="tradespan-lab-"))
        try:
            self._wanted_folder.mkdir(parents=True)
        except FileExistsError:
            raise LabError(f"{self._wanted_folder} exists", "name a folder of its own") from None
        return self._wanted_folder.resolve()

    def _launch(self, name: str) -> None:
        # The programs speak OpenTelemetry themselves: OTEL_* of the services is not for them.
        inherited = {k: v for k, v in self._settings.environ.items() if not k.startswith("OTEL_")}
        environ = {**inherited, **self._plans[name].environ, **self._environment}
        command = [str(self._binaries[name]), *self._plans[name].command]
        child = self.children[name] = Child(name, command, environ, self.folder)
        if self._guard:
            self._guard.watch(child.identity)

    def _wait(self, names: Sequence[str]) -> None:
        deadline = time.monotonic() + self._ready_within
        waiting = {name: list(self._plans[name].ready) for name in names}
        while waiting:
            for name in list(waiting):
                self._check_alive(name)
                waiting[name] = [url for url in waiting[name] if not answers(url)]
                if not waiting[name]:
                    del waiting[name]
            if waiting and time.monotonic() > deadline:
                name = next(iter(waiting))
                raise LabError(
                    f"{name} is not ready after {self._ready_within:.0f} s; its last lines:\n"
                    f"{self.children[name].last_lines()}",
                    "is the machine very busy? try again",
                )
            time.sleep(0.01)
        for name in names:  # somebody else's program on the port would answer for a dead child
            self._check_alive(name)

    def _check_alive(self, name: str) -> None:
        child = self.children[name]
        if (status := child.status()) is None:
            return
        lines = child.last_lines()
        taken = "address already in use" in lines
        raise LabError(
            f"{name} ended with status {status} while it started; its last lines:\n{lines}",
            "choose another port with --port NAME=NUMBER"
            if taken
            else "mend the setting that the lines above name, then start again",
        )


def answers(url: str, timeout: float = 1.0) -> bool:
    """Whether an address answers with status 200; never raises."""
    with contextlib.suppress(OSError, urllib.error.URLError, ValueError):
        with _direct.open(url, timeout=timeout) as answer:
            return bool(answer.status == 200)
    return False
