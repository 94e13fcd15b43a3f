"""SIGTERM in the middle of a run loses nothing that has ended, whatever runs the service."""

from __future__ import annotations

import random
import signal
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

import pytest

from .support.collector import Collector
from .support.services import BIN, Service, answers, free_port, service

ENOUGH = 40  # ledger lines before the signal is sent


def telling(collector: Collector) -> dict[str, str]:
    """Settings that leave as much as can be to the last flush."""
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
        "OTEL_BSP_SCHEDULE_DELAY": "60000",
        "OTEL_BLRP_SCHEDULE_DELAY": "60000",
        "OTEL_METRIC_EXPORT_INTERVAL": "60000",
    }


def nothing_lost(collector: Collector, one: Service) -> None:
    """Each line of the ledger has one span; metrics count what spans show; log records are there.

    The receiver may know more than the ledger: a stage that ended just before its line was written,
    and the open ones, which the flush ends as cancelled. Every span of a stage is one count.
    """
    lines = one.entries()
    assert lines, "the service did something"
    ended = collector.ended()
    unsent = [line for line in lines if ended[line] != 1]
    assert not unsent, f"a span each: {one.stderr}"
    assert max(ended.values()) == 1, "none twice"
    spans = Counter(stage for _, stage in ended.elements())
    counts = Counter(collector.counted())
    assert counts == spans, "metrics know of what spans show, no more and no less"
    assert not Counter(stage for _, stage in lines) - counts, "and of all in the ledger"
    said = {line.body: line.signal_id for line in collector.all_logs}
    missing = [line for line in lines if said.get(f"{line[1]} of {line[0]}") != line[0]]
    assert not missing, "a log record each, with its signal id"
    print(f"ledger {len(lines)} received {sum(ended.values())} logs {len(said)}")


@contextmanager
def requests_to(port: int) -> Iterator[None]:
    """Requests, one after the other, until the block ends."""
    over = threading.Event()

    def ask() -> None:
        while not over.is_set():
            with suppress(OSError):
                url = f"http://127.0.0.1:{port}/assess"
                urllib.request.urlopen(urllib.request.Request(url, b""), timeout=10).read()
            time.sleep(0.002)

    asking = [threading.Thread(target=ask) for _ in range(2)]
    for thread in asking:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in asking:
            thread.join()


def interrupted(command: list[str], tmp: Path, *, times: int = 1) -> None:
    """Start, wait for some stages, send SIGTERM at a random moment, compare; several times.

    Arguments:
        command: as for `service`.
        tmp: folder of the test.
        times: how often.
    """
    codes = set()
    for number in range(times):
        folder = tmp / str(number)
        with Collector() as collector, service(command, folder, telling(collector)) as one:
            one.until(lambda: len(one.entries()) >= ENOUGH)
            time.sleep(random.uniform(0, 0.2))
            codes.add(one.stop())
            nothing_lost(collector, one)
            assert "Traceback" not in one.stderr
    with service(command, tmp / "plain", instrumented=False) as one:
        one.until(lambda: len(one.entries()) >= ENOUGH)
        assert codes == {one.stop()}, "exit code as without tradespan"


def served(command: list[str], tmp: Path, *, times: int = 2, workers: int = 1) -> None:
    """As `interrupted`, for a server on PORT that is asked all the while.

    Each of its workers has answered by then: a SIGTERM of the first milliseconds after a fork meets
    gunicorn's own handler in the child, is lost there, and ends in a SIGKILL after 30 s.
    """
    codes, expected = set(), 0
    for number in range(times + 1):
        port, folder, bare = free_port(), tmp / str(number), number == times
        started = [part.replace("PORT", str(port)) for part in command]
        with Collector() as collector, requests_to(port):
            env = {} if bare else telling(collector)
            env["PORT"] = str(port)
            with service(started, folder, env, instrumented=not bare) as one:
                one.until(lambda port=port: answers(port) and len(one.entries()) >= ENOUGH)
                one.until(lambda: len(one.writers()) >= workers, "answered by each worker")
                time.sleep(random.uniform(0, 0.2))
                if bare:
                    expected = one.stop()
                    break
                codes.add(one.stop())
                nothing_lost(collector, one)
                assert "Traceback" not in one.stderr
                assert any(stage == "risk" for _, stage in one.entries())
    assert codes == {expected}, "exit code as without tradespan"


def test_a_plain_script_with_threads(tmp_path: Path) -> None:
    """Stages of the main thread and of daemon threads are all there, at any moment."""
    interrupted(["plain.py"], tmp_path, times=5)


@pytest.mark.parametrize("kind", ["daemon", "other"])
def test_a_main_thread_that_waits(kind: str, tmp_path: Path) -> None:
    """A main thread in join(), or in the interpreter's own wait for threads, is no obstacle."""
    interrupted(["waiting.py", kind], tmp_path, times=2)


def test_a_script_with_asyncio_run(tmp_path: Path) -> None:
    """Stages in tasks, and in a thread beside the loop, are all there."""
    interrupted(["looping.py"], tmp_path, times=5)


@pytest.mark.parametrize("way", ["exit", "again"])
def test_a_handler_of_the_services_own(way: str, tmp_path: Path) -> None:
    """A handler that calls sys.exit, or restores the default and raises again, works as before."""
    interrupted(["handler.py", way], tmp_path, times=3)


def test_an_end_without_a_signal(tmp_path: Path) -> None:
    """SIGINT ends with KeyboardInterrupt, as ever, and nothing that ended is lost."""
    with Collector() as collector, service(["plain.py"], tmp_path, telling(collector)) as one:
        one.until(lambda: len(one.entries()) >= ENOUGH)
        assert one.stop(signal.SIGINT) == -signal.SIGINT
        nothing_lost(collector, one)


@pytest.mark.parametrize("how", ["fork", "forkserver", "spawn"])
@pytest.mark.parametrize("end", ["return", "terminate"])
def test_children_by_multiprocessing(how: str, end: str, tmp_path: Path) -> None:
    """Children that return, and children that are terminated, have sent all that ended."""
    command = ["children.py", how, end]
    with Collector() as collector, service(command, tmp_path, telling(collector)) as one:
        assert one.wait() == 0, one.stderr
        nothing_lost(collector, one)
        assert one.stdout.strip() == ("[0, 0]" if end == "return" else "[-15, -15]")


def test_uvicorn_run(tmp_path: Path) -> None:
    """`python service.py` with uvicorn.run in it: requests, tasks and threads."""
    served(["web.py"], tmp_path, times=3)


UVICORN = [str(BIN / "uvicorn"), "web:app", "--port", "PORT", "--log-level", "warning"]
WORKERS = ["--workers", "2", "--timeout-worker-healthcheck", "60"]  # it kills who starts slowly
GUNICORN = [str(BIN / "gunicorn"), "--bind", "127.0.0.1:PORT", "--workers", "2"]


@pytest.mark.parametrize("workers", [1, 2])
def test_uvicorn(workers: int, tmp_path: Path) -> None:
    """`uvicorn module:app`, also with workers: the supervisor ends them, each flushes."""
    served([*UVICORN, *(WORKERS if workers > 1 else ())], tmp_path, workers=workers)


def test_gunicorn_with_uvicorn_workers(tmp_path: Path) -> None:
    """gunicorn with uvicorn's worker class."""
    package = "uvicorn_worker" if find_spec("uvicorn_worker") else "uvicorn.workers"
    kind = f"{package}.UvicornWorker"
    served([*GUNICORN, "--worker-class", kind, "web:app"], tmp_path, workers=2)


@pytest.mark.parametrize("preload", [False, True])
def test_gunicorn_with_sync_workers(preload: bool, tmp_path: Path) -> None:
    """gunicorn with its own workers, whether the application is loaded before the fork or after."""
    served([*GUNICORN, *(["--preload"] if preload else []), "wsgi:app"], tmp_path, workers=2)
