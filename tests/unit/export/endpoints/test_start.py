"""start, asgi_app, leave: ports, targets, forks and supervisors, in this process."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import metrics
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from starlette.applications import Starlette
from starlette.testclient import TestClient

from tradespan import guard
from tradespan import settings as setting
from tradespan.export import endpoints
from tradespan.export.endpoints import supervisors
from tradespan.export.endpoints.answer import ASGIEndpoints
from tradespan.export.endpoints.monitor import Address, Monitor
from tradespan.export.endpoints.scrape import BlockedError, Scrapes
from tradespan.export.endpoints.targets import Targets, target
from tradespan.settings import ConfigError, Settings

HOST = "127.0.0.1"


def families() -> list[Metric]:
    """One gauge."""
    return [GaugeMetricFamily("depth", "Depth.", 3.0)]


@pytest.fixture(autouse=True)
def _strict(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "strict", True)
    monkeypatch.setattr("tradespan.export.endpoints.server._TICK", 0.02)


@pytest.fixture
def monitor(tmp_path: Path) -> Iterator[Monitor]:
    """A monitor with a folder for targets."""
    one = Monitor(Scrapes(families), Targets(str(tmp_path), "risk"))
    yield one
    one.stop()


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody else listens on."""
    with socket.socket() as other:
        other.bind((HOST, 0))
        other.listen()
        yield other.getsockname()[1]


def get(address: Address, path: str = "/metrics", method: str = "GET") -> Any:
    """Ask over HTTP."""
    url = f"http://{address.host}:{address.port}{path}"
    return urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=30)


def entries(folder: Path) -> list[str]:
    """All targets in the folder."""
    return [
        one for path in folder.glob("*.json") for one in json.loads(path.read_text())[0]["targets"]
    ]


def until(ready: Any) -> None:
    """Wait for something."""
    over = threading.Event()
    for _ in range(3000):
        if ready():
            return
        over.wait(0.01)
    pytest.fail("it did not come")


def test_a_port_of_ones_own(monitor: Monitor, tmp_path: Path) -> None:
    """Metrics and health over HTTP, an entry in the folder, both gone afterwards."""
    address = monitor.listen(Address(HOST, 0))
    assert address is not None
    assert "depth 3.0" in get(address).read().decode()
    assert json.load(get(address, "/health"))["live"] is True
    assert get(address, method="HEAD").read() == b""
    with pytest.raises(urllib.error.HTTPError, match="404"):
        get(address, "/else")
    assert entries(tmp_path) == [f"{HOST}:{address.port}"]
    monitor.stop()
    assert entries(tmp_path) == []
    with pytest.raises(OSError, match="refused"):
        get(address)


def test_the_same_address_again(monitor: Monitor, tmp_path: Path) -> None:
    """One listener for one address; another address is another, with one entry for the process."""
    first = monitor.listen(Address(HOST, 0))
    assert monitor.listen(Address(HOST, 0)) == first
    assert first is not None
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        free = probe.getsockname()[1]
    second = monitor.listen(Address(HOST, free))
    assert second == Address(HOST, free)
    assert get(first).status == get(second).status == 200
    assert entries(tmp_path) == [f"{HOST}:{first.port}"]


def test_a_taken_port(monitor: Monitor, taken: int, tmp_path: Path) -> None:
    """The service gets another port, which stands in the folder."""
    address = monitor.listen(Address(HOST, taken))
    assert address is not None
    assert address.port != taken
    assert get(address).status == 200
    assert entries(tmp_path) == [f"{HOST}:{address.port}"]


@pytest.mark.parametrize("folder", [True, False])
def test_a_taken_port_is_said(
    folder: bool, taken: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A warning where nobody would find the process, else information."""
    caplog.set_level(logging.INFO)
    one = Monitor(Scrapes(families), Targets(str(tmp_path), "risk") if folder else None)
    address = one.listen(Address(HOST, taken))
    one.stop()
    (record,) = caplog.records
    assert record.levelno == (logging.INFO if folder else logging.WARNING)
    assert f"port {taken} is taken" in record.getMessage()
    assert address is not None
    assert f"{HOST}:{address.port}" in record.getMessage()


def test_a_port_that_becomes_free(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is taken over, so that a replaced worker leaves no silent port behind."""
    monkeypatch.setattr("tradespan.export.endpoints.monitor._LOOK_AROUND", 0.0)
    one = Monitor(Scrapes(families), None)
    with socket.socket() as other:
        other.bind((HOST, 0))
        other.listen()
        wanted = Address(HOST, other.getsockname()[1])
        elsewhere = one.listen(wanted)
    until(lambda: one._wanted[wanted] is not None)
    assert get(wanted).status == 200
    assert elsewhere is not None
    assert get(elsewhere).status == 200
    one.stop()


@pytest.mark.parametrize("host", ["no-such-host.invalid", "192.0.2.1"])
def test_a_host_that_is_not_ours(
    host: str, monitor: Monitor, caplog: pytest.LogCaptureFixture
) -> None:
    """One line, nothing raised, nothing served."""
    assert monitor.listen(Address(host, 9464)) is None
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert host in record.getMessage()


def test_ipv6() -> None:
    """The loopback of IPv6 too, in brackets in the folder."""
    one = Monitor(Scrapes(families), None)
    address = one.listen(Address("::1", 0))
    if address is None:
        pytest.skip("this machine has no IPv6")
    assert get(Address("[::1]", address.port)).status == 200
    one.stop()
    assert target("::1", 9464) == "[::1]:9464"


def test_wildcards_are_reached_at_an_address() -> None:
    """0.0.0.0 is no address that Prometheus could ask."""
    assert target(HOST, 1) == "127.0.0.1:1"
    assert target("risk.internal", 1) == "risk.internal:1"
    assert not target("0.0.0.0", 1).startswith("0.")


def test_a_supervisor_gives_way(monitor: Monitor, tmp_path: Path) -> None:
    """The port is free before the first worker starts, and is not asked for again."""
    address = monitor.listen(Address(HOST, 0))
    assert address is not None
    monitor.give_way()
    with socket.socket() as worker:
        worker.bind(address)
    assert entries(tmp_path) == []
    assert monitor.listen(address) is None


def test_what_is_no_get(monitor: Monitor) -> None:
    """One plain sentence, as a mounted endpoint says it, and no page of http.server's."""
    address = monitor.listen(Address(HOST, 0))
    assert address is not None
    with pytest.raises(urllib.error.HTTPError) as refused:
        get(address, method="POST")
    assert (refused.value.code, refused.value.read()) == (405, b"GET only\n")
    assert refused.value.headers["Allow"] == "GET, HEAD"
    with socket.create_connection(address) as client:
        client.sendall(b"GET /<b> x HTTP/1.0\r\n\r\n")
        told = client.makefile("rb").read().decode()
    assert " 400 " in told.splitlines()[0]
    assert "Content-Type: text/plain" in told
    assert "<html" not in told.lower()


def test_a_thread_that_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """It costs the one scrape; the next one begins a collection of its own."""
    scrapes, start = Scrapes(families), threading.Thread.start

    def fail(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", fail)
    with pytest.raises(RuntimeError, match="can't start"):
        scrapes.families()
    monkeypatch.setattr(threading.Thread, "start", start)
    assert [family.name for family in scrapes.families()] == ["depth"]


def test_a_collection_that_hangs_holds_up_the_first_scrapes_only() -> None:
    """Once it is known to hang, the next ones are told so at once; then all is as before."""
    free = threading.Event()

    def slow() -> list[Metric]:
        free.wait(60)
        return families()

    scrapes = Scrapes(slow, patience=1.0)
    waited: list[float] = []
    for _ in range(4):
        began = time.monotonic()
        with pytest.raises(BlockedError):
            scrapes.families()
        waited.append(time.monotonic() - began)
    assert waited[0] > 0.9
    assert sum(waited[1:]) < 1.5, "each would have waited as long again"
    free.set()
    until(lambda: not scrapes.facts()["blocked"])
    assert scrapes.families()


def test_a_client_that_goes_away(monitor: Monitor, capfd: pytest.CaptureFixture[str]) -> None:
    """Nothing on the service's stderr, and the next one is served."""
    address = monitor.listen(Address(HOST, 0))
    assert address is not None
    for rubbish in (b"GET", b"\x16\x03\x01\x00", b"GET /metrics HTTP/1.0\r\n" * 3):
        with socket.create_connection(address) as client:
            client.sendall(rubbish)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    assert get(address).status == 200
    assert capfd.readouterr() == ("", "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_has_a_port_of_its_own(monitor: Monitor, tmp_path: Path) -> None:
    """The parent's goes on; the child's is another, and its entry goes with its death."""
    address = monitor.listen(Address(HOST, 0))
    assert address is not None
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(write)
        os.read(read, 1)
        os._exit(0)
    until(lambda: len(entries(tmp_path)) == 2)
    (other,) = set(entries(tmp_path)) - {f"{HOST}:{address.port}"}
    assert get(Address(HOST, int(other.rpartition(":")[2]))).status == 200
    assert get(address).status == 200
    monitor._targets.forget()  # type: ignore[union-attr]
    monitor.stop()
    with socket.socket() as next_parent:  # the child holds nothing of the parent's
        next_parent.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        next_parent.bind(address)
        next_parent.listen()
    os.close(read)
    os.close(write)
    os.waitpid(child, 0)
    assert len(entries(tmp_path)) == 2  # nobody has looked yet
    monitor._targets.look_after()  # type: ignore[union-attr]
    assert entries(tmp_path) == []


def test_entries(tmp_path: Path) -> None:
    """One file a process; what is the user's stays; one that was removed is written again."""
    mine, other = Targets(str(tmp_path / "a" / "b"), "risk / x"), tmp_path / "a" / "b"
    mine.enter(HOST, 1)
    (path,) = other.glob("*.json")
    assert path.name.startswith("tradespan-risk_x-")
    static = other / "static.json"
    static.write_text("[]")
    dead = other / "tradespan-risk-gone-1.json"
    dead.write_text("[]")
    path.unlink()
    mine.look_after()
    assert sorted(other.iterdir()) == sorted([path, static])
    mine.leave()
    mine.look_after()
    assert list(other.iterdir()) == [static]


def test_a_folder_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The endpoint is served all the same, and the failure is counted."""
    monkeypatch.setattr(guard, "strict", False)
    monkeypatch.setattr(guard, "failures", guard.Counter())
    (tmp_path / "file").write_text("")
    one = Monitor(Scrapes(families), Targets(str(tmp_path / "file"), "risk"))
    address = one.listen(Address(HOST, 0))
    assert address is not None
    assert get(address).status == 200
    one.stop()
    assert guard.failures == {"endpoints.targets": 1}


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch, telemetry: Any) -> Iterator[None]:
    """Nothing started yet."""
    monkeypatch.setattr(endpoints, "_monitor", None)
    monkeypatch.setattr(endpoints, "_scrapes", None)
    for key in ("OTEL_METRICS_EXPORTER", "OTEL_SDK_DISABLED"):
        monkeypatch.delenv(key, raising=False)
    yield
    endpoints.stop()


def the_global() -> Any:
    """The provider that everybody has, with the one of the test inside."""
    return metrics.get_meter_provider()


def add(reader: Any) -> None:
    """Readers are added to the provider of the test that runs."""
    the_global().current.add_metric_reader(reader)


@pytest.mark.usefixtures("fresh")
class TestStart:
    """`tradespan.export.endpoints.start`."""

    def test_start(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Ours are served at the address that is returned, of the host that is set."""
        monkeypatch.setattr(the_global(), "add_metric_reader", add, raising=False)
        monkeypatch.setattr(setting, "current", Settings(metrics_host="localhost"))
        address = endpoints.start()
        assert address is not None
        assert address.host == "localhost"
        the_global().current.get_meter("x").create_counter("orders").add(1)
        assert b"orders_total" in get(address).read()

    @pytest.mark.parametrize("port", [-1, 65536, "8001", True, None, 1.5])
    def test_a_wrong_port(self, port: Any) -> None:
        """A bad argument is told to who gave it."""
        with pytest.raises(ConfigError) as caught:
            endpoints.start(port=port)
        assert (caught.value.key, caught.value.value) == ("port", port)

    def test_switched_off(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """TRADESPAN=off and OTEL_SDK_DISABLED: no thread, no port."""
        before = threading.active_count()
        monkeypatch.setattr(setting, "current", Settings(enabled=False))
        assert endpoints.start() is None
        monkeypatch.setattr(setting, "current", Settings())
        monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
        assert endpoints.start() is None
        assert threading.active_count() == before

    @pytest.mark.parametrize(
        ("exporters", "said"), [("otlp", 1), ("none", 0), ("", 0), ("prometheus", 0)]
    )
    def test_two_paths(
        self,
        exporters: str,
        said: int,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        """Metrics that leave by OTLP too would double in one Prometheus: one line says so."""
        monkeypatch.setattr(the_global(), "add_metric_reader", add, raising=False)
        monkeypatch.setenv("OTEL_METRICS_EXPORTER", exporters)
        endpoints.start()
        endpoints.asgi_app()
        endpoints.start(port=0)
        assert sum("every sum doubles" in message for message in caplog.messages) == said

    def test_a_fork_server(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """What only forks multiprocessing's workers inherits the environment, and takes no port."""
        code = "from multiprocessing.forkserver import main; main(5, 6, [], **{})"
        monkeypatch.setattr(sys, "orig_argv", ["python", "-c", code])
        assert supervisors.is_fork_server()
        assert endpoints.start() is None


@pytest.mark.parametrize(
    ("path", "status", "part"),
    [
        ("/monitoring/metrics", 200, "depth 3.0"),
        ("/monitoring/health", 200, '"live": true'),
        ("/monitoring/", 200, "depth 3.0"),
        ("/monitoring/else", 404, "there are"),
        ("/metrics", 200, "depth 3.0"),
    ],
)
def test_mounted(path: str, status: int, part: str) -> None:
    """Inside an application: mounted at a prefix, or as the route /metrics itself."""
    app = Starlette()
    app.mount("/monitoring", ASGIEndpoints(families))
    app.add_route("/metrics", ASGIEndpoints(families))
    client = TestClient(app)
    reply = client.get(path, follow_redirects=False)
    assert reply.status_code == status
    assert part in reply.text
    assert client.head(path).text == ""
    assert client.post("/monitoring/metrics").status_code == 405


def test_a_mounted_scrape_does_not_hold_the_service_up() -> None:
    """While collections block, the service's own loop goes on, and its threads are its own."""
    free = threading.Event()

    def slow() -> list[Metric]:
        free.wait(60)
        return families()

    async def run() -> int:
        sent: list[Any] = []
        scope = {
            "type": "http", "method": "GET", "path": "/metrics", "headers": [], "query_string": b""
        }  # fmt: skip

        async def send(message: Any) -> None:
            sent.append(message)

        async def receive() -> Any:
            return {}

        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
        ours = ASGIEndpoints(slow)
        asking = [asyncio.create_task(ours(scope, receive, send)) for _ in range(8)]
        for _ in range(10):
            await asyncio.sleep(0.001)
        assert await asyncio.wait_for(asyncio.to_thread(lambda: 7), 30) == 7
        assert not any(task.done() for task in asking)
        free.set()
        await asyncio.gather(*asking)
        status: int = sent[0]["status"]
        return status

    assert asyncio.run(run()) == 200
