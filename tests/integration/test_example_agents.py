"""The agents' desk: what it exports is what it did, and a halted desk does not trade."""

from __future__ import annotations

import json
from collections import Counter, defaultdict

import pytest

from ..support.launched import Example
from .support.collector import NAMESPACE, Collector

STAGES = Counter(signal=1, features=1, analysis=3, orchestration=1, risk=1, execution=1)


class Run:
    """A desk that is halted by its drawdown, then by hand for 60 rounds, and goes on each time."""

    def __init__(self) -> None:
        about = {"OTEL_RESOURCE_ATTRIBUTES": f"service.namespace={NAMESPACE}"}
        with Collector() as self.got:
            sending = {**about, "OTEL_EXPORTER_OTLP_ENDPOINT": self.got.endpoint}
            with Example("agents", OTEL_METRIC_EXPORT_INTERVAL="500", **sending) as example:
                example.until(lambda: "desk: trading goes on" in example.said())
                example.ask("desk/kill-switch", {"active": True})
                self.before = example.ask("desk/stats")
                enough = self.before["rounds"] + 60
                example.until(lambda: example.ask("desk/stats")["rounds"] >= enough)
                self.after = example.ask("desk/stats")
                example.ask("desk/kill-switch", {"active": False})
                example.until(lambda: 'backtest | {"total_value"' in example.said())
                self.status, self.said = example.stop(), example.said()
        words = (self.said.partition(f"{word}: ")[2] for word in ("stopped", "served"))
        self.did, self.served = (json.loads(text.split("\n")[0]) for text in words)

    def counted(self, metric: str, *by: str) -> dict[str, int]:
        return {" ".join(key): n for key, n in self.got.total(metric, by=by).items() if n}


@pytest.fixture(scope="module")
def run() -> Run:
    return Run()


def those(stats: dict[str, int], end: str) -> dict[str, int]:
    return {f"desk {key[: -len(end)]}": n for key, n in stats.items() if key.endswith(end)}


def test_a_halted_desk_does_not_trade(run: Run) -> None:
    """Not one fill; it was halted by drawdown too, and SIGTERM ends it all well."""
    assert those(run.after, " filled") == those(run.before, " filled")
    assert run.after["refused by kill_switch"] > run.before["refused by kill_switch"]
    assert (run.status, run.did["halts"] > 1, "Traceback" in run.said) == (0, True, False)


def test_the_metrics_say_what_was_done(run: Run) -> None:
    """Fills and broken rules are those of the desk's own books, tokens those of the server."""
    fills = run.counted("trades", "service.name", "side").items()
    assert fills >= those(run.did, " filled").items()
    broken = run.counted("constitution_violations", "service.name", "rule_name").items()
    assert broken >= those(run.did, " broken").items()
    used = run.counted("ai_api_tokens", "model_name", "token_type")
    used |= run.counted("ai_api_unpriced", "model_name")  # desk-tuned-v2 alone
    assert used == {key: n for key, n in run.served.items() if key.endswith(("put", "v2"))}


def test_a_fill_is_one_trace(run: Run) -> None:
    """From the features to the fill; the agents' requests are inside."""
    traces = defaultdict(list)
    for span in run.got.all_spans:
        traces[span.trace_id].append(span)
    filled = [spans for spans in traces.values() if any(s.stage == "execution" for s in spans)]
    assert len(filled) == sum(those(run.did, " filled").values())
    for spans in filled:
        assert Counter(s.stage for s in spans if s.stage) == STAGES
        asking = {s.parent_id for s in spans if s.name.startswith("POST")}
        assert asking == {s.span_id for s in spans if s.stage == "analysis"}
