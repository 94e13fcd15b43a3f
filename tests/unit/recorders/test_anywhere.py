"""Recorders without an SDK, from threads, and in forked workers."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from typing import Any

import pytest

from tradespan.recorders import agents, portfolio, voice

DRIVE = """
import asyncio
from tradespan.recorders import (agents, business, exchange, features, portfolio, safety, streams,
                                 system, training, voice)

def drive():
    agents.open(tickers=["AAPL"]); agents.decision("AAPL", "buy", 0.5)
    with agents.request("haiku", cost_usd=0.1): pass
    business.open(); business.revenue(1, "fees")
    exchange.open(); exchange.executed()
    features.open(); features.hit("L1")
    portfolio.open(); portfolio.trade("AAPL", "buy")
    safety.open(); safety.check("rule", True)
    streams.open(); streams.decision("s", "buy")
    system.open(); system.update(redis_connected=True)
    training.open(); training.declare_drift("f"); training.drift("f", 1)
    voice.open(); voice.requested(1.0)
    async def later():
        async with voice.request(): await asyncio.sleep(0)
    asyncio.run(later())
"""

BEFORE_THE_SDK = """
drive()
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
reader = InMemoryMetricReader()
metrics.set_meter_provider(MeterProvider([reader], shutdown_on_exit=False))
drive()
(scope,) = reader.get_metrics_data().resource_metrics[0].scope_metrics
points = {m.name: list(m.data.data_points) for m in scope.metrics}
print([p.value for p in points["trading_voice_total_requests"]],
      [p.value for p in points["agent_decisions"] if p.value])
"""

FORKED = """
import os, sys, threading
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from tradespan import instruments
reader = InMemoryMetricReader()
metrics.set_meter_provider(MeterProvider([reader], shutdown_on_exit=False))
voice.requested(1.0)
system.update(uptime_seconds=1000)
held = threading.Event()
def hold():
    with instruments._lock, voice._TOTALS._lock:
        held.set(); threading.Event().wait()  # for ever: a child that waits for it never ends
threading.Thread(target=hold, daemon=True).start()
held.wait()
child = os.fork()
if child == 0:
    drive()
    (scope,) = reader.get_metrics_data().resource_metrics[0].scope_metrics
    points = {m.name: list(m.data.data_points) for m in scope.metrics}
    print([p.value for p in points["trading_voice_total_requests"]],
          [p.value for p in points["trades"] if p.value],
          points["system_uptime"][0].value < 1000, flush=True)
    os._exit(0)
_, status = os.waitpid(child, 0)
sys.exit(os.waitstatus_to_exitcode(status))
"""


def run(code: str) -> str:
    """What a program of its own prints; warnings are errors there too."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", DRIVE + code],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout.strip()


def test_without_an_sdk_nothing_happens() -> None:
    """No effect, no error, no output, and no SDK is imported."""
    code = (
        "drive()\nimport sys\nprint([m for m in sys.modules if m.startswith('opentelemetry.sdk')])"
    )
    assert run(code) == "[]"


def test_an_sdk_that_comes_later_sees_what_follows() -> None:
    """Instruments that were made before it work then; totals have lost nothing."""
    assert run(BEFORE_THE_SDK) == "[4.0] [1.0]"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
def test_a_forked_worker_counts_its_own() -> None:
    """Even when another thread of the parent held our locks at that moment."""
    assert run(FORKED) == "[2.0] [1.0] True"


def test_from_threads(telemetry: Any) -> None:
    """Eight threads at once: nothing is lost, no limit is passed."""

    def work(n: int) -> None:
        for turn in range(500):
            portfolio.trade(f"S{(turn + n) % 300}", "buy")
            voice.requested()
            agents.analysis()

    threads = [threading.Thread(target=work, args=(n * 37,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert telemetry.total("trades") == 4000
    assert len(telemetry.metric("trades")) <= 201
    assert telemetry.last("trading_voice_total_requests") == 4000
    assert telemetry.total("agent_analyses") == 4000
