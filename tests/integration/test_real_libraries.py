"""Libraries that nobody here wrote, mapped by a file only.

An event-driven backtester (backtesting), an agent framework (smolagents) and a runner that loads a
strategy by its path (backtrader). None of them is changed.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from .support.collector import Collector
from .support.services import BIN, service

LIBRARIES = Path(__file__).parent / "support" / "libraries"
DAYS, RUNS = 600, 3


@dataclass
class Run:
    """One run of a program: what it said of itself, and what was collected of it."""

    results: Any
    seconds: Any
    collector: Collector

    def counts(self, stage: str) -> Counter[str]:
        """How often a stage ended, by outcome."""
        found = self.collector.total("trading.stage.duration", by=("stage", "outcome"))
        return Counter({outcome: n for (name, outcome), n in found.items() if name == stage and n})

    def stages(self) -> int:
        """How many stages ended."""
        return sum(self.collector.total("trading.stage.duration").values())


def run(name: str, folder: Path, command: list[str], *, mapped: bool) -> Run:
    """Run a program to its end, mapped by NAME.yaml or bare."""
    with Collector() as collector:
        env = {
            "PYTHONPATH": os.pathsep.join([str(LIBRARIES), os.environ.get("PYTHONPATH", "")]),
            "OTEL_SERVICE_NAME": name,
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
            "TRADESPAN_CONFIG": str(LIBRARIES / f"{name}.yaml"),
            "TRADESPAN_MODE": "backtest",
        }
        with service(command, folder / str(mapped), env, instrumented=mapped) as one:
            assert one.wait() == 0, one.stderr
            said = json.loads(one.stdout.splitlines()[-1])
            seconds = json.loads(one.stderr[one.stderr.rindex('{"seconds"') :].split("}")[0] + "}")
            warnings = [x for x in one.stderr.splitlines() if "tradespan" in x]
            assert not warnings, warnings
    return Run(said, seconds["seconds"], collector)


def both(name: str, folder: Path, command: list[str] | None = None) -> tuple[Run, Run]:
    """The program bare and mapped; its own results are identical."""
    command = command or [sys.executable, str(LIBRARIES / f"{name}.py")]
    bare = run(name, folder, command, mapped=False)
    mapped = run(name, folder, command, mapped=True)
    assert mapped.results == bare.results
    assert not bare.collector.all_spans
    assert bare.stages() == 0
    return bare, mapped


@dataclass
class Cost:
    """Seconds that one mapped call costs, here and now."""

    skipped: float
    recorded: float


@pytest.fixture(scope="module")
def cost(tmp_path_factory: pytest.TempPathFactory) -> Cost:
    """Of functions that do nothing."""
    bare, mapped = both("cost", tmp_path_factory.mktemp("cost"))
    assert mapped.counts("signal") == {"skipped": bare.results["calls"]}
    assert mapped.counts("execution") == {"ok": bare.results["calls"]}
    return Cost(*(more - less for more, less in zip(mapped.seconds, bare.seconds, strict=True)))


def report(name: str, bare: Run, mapped: Run, cost: Cost, runs: float = 1) -> None:
    """Both figures: how much longer the library's own run took, and calls x the cost of each."""
    skipped = sum(mapped.counts(stage)["skipped"] for stage in ("signal", "execution")) / runs
    recorded = mapped.stages() / runs - skipped
    expected = skipped * cost.skipped + recorded * cost.recorded
    print(
        f"\n{name}: {bare.seconds * 1e3:.1f} ms bare, {mapped.seconds * 1e3:.1f} ms mapped: "
        f"{(mapped.seconds - bare.seconds) * 1e3:.1f} ms added; {skipped:.0f} skipped x "
        f"{cost.skipped * 1e6:.0f} us + {recorded:.0f} recorded x {cost.recorded * 1e6:.0f} us "
        f"= {expected * 1e3:.1f} ms"
    )


def test_an_event_driven_backtester(tmp_path: Path, cost: Cost) -> None:
    """Each bar is a signal, skipped unless an order came of it; a refused order is rejected."""
    bare, mapped = both("backtest", tmp_path)
    results = bare.results
    buys, refused = results["trades"], results["refused"]
    plans = 2 * buys - 1 + refused  # the last trade is closed by the end of the data
    assert mapped.counts("signal") == {
        "ok": plans * RUNS,
        "skipped": (DAYS - 1 - plans) * RUNS,
    }
    assert mapped.counts("execution") == {"ok": buys * RUNS, "rejected": refused * RUNS}
    orders = [s for s in mapped.collector.all_spans if s.stage == "execution"]
    assert len(orders) == (buys + refused) * RUNS
    assert {s.attributes["trading.symbol"] for s in orders} == {"BTC-USD"}
    ended = {s.signal_id for s in orders}
    signals = [s for s in mapped.collector.all_spans if s.stage == "signal"]
    assert len([s for s in signals if s.signal_id in ended]) == (buys + refused) * RUNS
    report("backtesting", bare, mapped, cost, RUNS)


def test_an_agent_framework(tmp_path: Path, cost: Cost) -> None:
    """Each run of the agent is a validation with its verdict, each tool call a stage within it."""
    bare, mapped = both("agent", tmp_path)
    verdicts = Counter(v["decision"] for v in bare.results["verdicts"])
    assert mapped.counts("validation") == {
        "ok": verdicts["APPROVE"],
        "rejected": verdicts["REJECT"],
    }
    tools = Counter(
        "error" if n % 10 == 9 else "rejected" if n % 4 == 3 else "ok" for n in range(40)
    )
    tools["ok"] += 40  # the library's own tool that gives the final answer
    assert mapped.counts("risk") == tools
    by_decision = mapped.collector.total("llm_validations", by=("decision",))
    counted = {decision: n for (decision,), n in by_decision.items() if n}
    assert counted == {"approved": verdicts["APPROVE"], "rejected": verdicts["REJECT"]}
    asked = sum(mapped.collector.total("ollama_api_latency").values())
    assert asked == 2 * len(bare.results["verdicts"])
    spans = {s.span_id: s for s in mapped.collector.all_spans}
    assert {s.attributes.get("gen_ai.request.model") for s in spans.values() if s.stage ==
            "validation"} == {"scripted-1"}  # fmt: skip
    inside = [s for s in spans.values() if s.stage == "risk"]
    assert len(inside) == 80
    assert {spans[str(s.parent_id)].stage for s in inside} == {"validation"}
    report("smolagents", bare, mapped, cost)


def test_a_runner_that_loads_a_strategy_by_its_path(tmp_path: Path, cost: Cost) -> None:
    """The strategy's class comes up in a module with a random name, and is wrapped as it does."""
    sys.path.insert(0, str(LIBRARIES))
    from bars import bars

    sys.path.remove(str(LIBRARIES))
    data = tmp_path / "bars.csv"
    rows = "".join(f"{','.join(map(str, bar))},0\n" for bar in bars(DAYS))
    data.write_text(f"Date,Open,High,Low,Close,Volume,OpenInterest\n{rows}")
    strategy = f"{LIBRARIES / 'strategy.py'}:Dips"
    flags = ["--csvformat", "btcsv", "--nostdstats", "--cash", "9000"]
    command = [str(BIN / "btrun"), *flags, "--data", str(data), "--strategy", strategy]
    bare, mapped = both("strategy", tmp_path, command)
    filled, refused = bare.results["orders"], bare.results["refused"]
    assert refused > 0
    placed = filled + refused
    assert mapped.counts("signal") == {"ok": placed, "skipped": DAYS - placed}
    assert mapped.counts("order") == {"ok": placed}
    counts = mapped.counts("execution")
    assert (counts["ok"], counts["rejected"], counts["error"]) == (filled, refused, 0)
    report("backtrader", bare, mapped, cost)
