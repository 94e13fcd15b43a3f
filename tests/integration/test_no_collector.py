"""No collector: the service works and ends as ever, and says so in one line."""

from __future__ import annotations

import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from .support.collector import Collector
from .support.services import Service, free_port, service

SLACK = 8.0
"""Seconds beside the bound: a loaded machine is not a defect; unbounded exits take 14 to 30."""

WAYS = [("http/protobuf", "2s"), ("http/protobuf", "500ms"), ("grpc", "2s")]


@contextmanager
def black_hole() -> Iterator[str]:
    """An address that takes connections and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        kept: list[socket.socket] = []

        def accept() -> None:
            while True:
                try:
                    kept.append(listener.accept()[0])
                except OSError:
                    return

        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
    for connection in kept:
        connection.close()


@contextmanager
def refused() -> Iterator[str]:
    """An address where nobody listens."""
    yield f"http://127.0.0.1:{free_port()}"


def seconds_to_end(one: Service) -> float:
    """From the service's last line to the end of its process."""
    ended = time.time()
    return ended - float(one.stdout.split("done")[1])


@pytest.mark.parametrize(("protocol", "bound"), WAYS)
@pytest.mark.parametrize("nobody", [refused, black_hole])
def test_it_works_and_ends_in_time(nobody, protocol: str, bound: str, tmp_path: Path) -> None:
    """Signals go through, the exit code is the service's own, the exit is bounded, one line."""
    with nobody() as address:
        env = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": address,
            "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
            "SECONDS": "1.5",
            **({} if bound == "2s" else {"TRADESPAN_EXIT_TIMEOUT": bound}),
        }
        with service(["brief.py"], tmp_path, env) as one:
            assert one.wait() == 7
            assert seconds_to_end(one) < float(bound == "2s") * 2 + 0.5 + SLACK
    assert int(one.stdout.split()[1]) > 5
    lines = one.stderr.splitlines()
    assert len(lines) == 1, one.stderr
    assert lines[0].startswith("no collector ")


@pytest.mark.parametrize("nobody", [refused, black_hole])
def test_sigterm(nobody, tmp_path: Path) -> None:
    """SIGTERM ends the process by SIGTERM, within the bound."""
    with nobody() as address:
        env = {"OTEL_EXPORTER_OTLP_ENDPOINT": address, "OTEL_EXPORTER_OTLP_TIMEOUT": "1"}
        with service(["plain.py"], tmp_path, env) as one:
            one.until(lambda: len(one.entries()) > 200)
            began = time.monotonic()
            assert one.stop() == -signal.SIGTERM
            assert time.monotonic() - began < 2 + SLACK
    assert len(one.stderr.splitlines()) == 1, one.stderr


def test_a_long_outage_with_full_queues(tmp_path: Path) -> None:
    """Queues that overflow, exports that fail again and again: one line all the same."""
    with refused() as address:
        env = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": address,
            "OTEL_EXPORTER_OTLP_TIMEOUT": "1",
            "OTEL_BSP_MAX_QUEUE_SIZE": "20",
            "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "10",
            "OTEL_BLRP_MAX_QUEUE_SIZE": "20",
            "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE": "10",
            "OTEL_METRIC_EXPORT_INTERVAL": "200",
            "SECONDS": "5",
        }
        with service(["brief.py"], tmp_path, env) as one:
            assert one.wait() == 7
    assert len(one.stderr.splitlines()) == 1, one.stderr


def test_a_collector_that_comes_back(tmp_path: Path) -> None:
    """It is said once that nobody answers and once that it answers; what ended then arrives."""
    port = free_port()
    env = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}",
        "OTEL_EXPORTER_OTLP_TIMEOUT": "1",
        "OTEL_METRIC_EXPORT_INTERVAL": "500",
    }
    with service(["plain.py"], tmp_path, env) as one:
        one.until(lambda: "no collector answers" in one.stderr, "outage said")
        with listening(port) as collector:
            one.until(lambda: "answers again" in one.stderr, "recovery said")
            after = len(one.entries())
            one.until(lambda: len(one.entries()) > after + 20)
            assert one.stop() == -signal.SIGTERM
            later = one.entries()[after:]
            assert not set(later) - set(collector.ended())
    assert len(one.stderr.splitlines()) == 2, one.stderr


def test_a_collector_that_refuses(tmp_path: Path) -> None:
    """A collector without log and metric pipelines: one line with its answer, no flapping."""
    with listening(free_port(), only="/v1/traces") as collector:
        env = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
            "OTEL_METRIC_EXPORT_INTERVAL": "200",
            "SECONDS": "4",
        }
        with service(["brief.py"], tmp_path, env) as one:
            assert one.wait() == 7
        assert collector.all_spans
    lines = one.stderr.splitlines()
    assert len(lines) <= 2, one.stderr
    assert "404" in lines[0]


@contextmanager
def listening(port: int, only: str = "") -> Iterator[Collector]:
    """A collector on a given port, which may take one signal only."""
    collector = Collector()
    collector.move(port, only)
    with collector:
        yield collector


def test_an_open_stage_that_the_exit_ends_goes_no_further(tmp_path: Path) -> None:
    """While the last flush waits, a thread is held where its stage, now cancelled, would end."""
    with black_hole() as address:
        env = {"OTEL_EXPORTER_OTLP_ENDPOINT": address}
        with service(["holding.py"], tmp_path, env) as one:
            one.until(lambda: "open" in one.stdout)
            assert one.stop() == -signal.SIGTERM
            assert one.entries() == []
