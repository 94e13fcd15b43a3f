"""Calls of mapped functions as stages: kinds of functions, outcomes, words, events, limits."""

from __future__ import annotations

import asyncio
import inspect
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from threading import Event, current_thread
from typing import Any

import numpy as np
import pytest

import tradespan
from tradespan import guard
from tradespan import settings as setting
from tradespan.handoffs.by_key import Sender, SqliteStore, open_store
from tradespan.handoffs.by_key.late import Late
from tradespan.mapping import notes
from tradespan.settings import Settings

KINDS = """
    import asyncio
    def plain(symbol): return "done"
    async def coro(symbol):
        await asyncio.sleep(0)
        return "done"
    def gen(symbol):
        got = yield 1
        yield got
        return "done"
    async def agen(symbol):
        yield 1
        yield 2
    """


class Verdict(Enum):
    NO = "DENY"


def outcomes(telemetry: Any, stage: str = "risk") -> dict[str, float]:
    return {
        p.labels["outcome"]: p.count
        for p in telemetry.metric("trading.stage.duration", stage=stage)
        if p.count
    }


@pytest.mark.parametrize("kind", ["plain", "coro", "gen", "agen"])
def test_functions_of_every_kind_stay_what_they_are(svc: Any, telemetry: Any, kind: str) -> None:
    """Sync, async, generator and async generator: same kind, same values, one stage."""
    module = svc.map(
        f"stages: {{risk: {{run: 'mod:{kind}', set: {{symbol: args.symbol, got: result}}}}}}", KINDS
    )
    function = getattr(module, kind)
    assert inspect.iscoroutinefunction(function) is (kind == "coro")
    assert inspect.isgeneratorfunction(function) is (kind == "gen")
    assert inspect.isasyncgenfunction(function) is (kind == "agen")
    got: Any = "done"
    if kind == "plain":
        assert function("A") == "done"
    elif kind == "coro":
        assert asyncio.run(function("A")) == "done"
    elif kind == "gen":
        running = function("A")
        assert (next(running), running.send("x")) == (1, "x")
        with pytest.raises(StopIteration, match="done"):
            next(running)
    else:
        got = None

        async def drain() -> list[int]:
            return [item async for item in function("A")]

        assert asyncio.run(drain()) == [1, 2]
    span = telemetry.span("risk")
    assert span.attributes["trading.symbol"] == "A"
    assert span.attributes.get("got") == got


def test_a_generator_dropped_half_way_is_cancelled(svc: Any, telemetry: Any) -> None:
    """Its consumer wanted no more."""
    module = svc.map("stages: {risk: {run: 'mod:gen'}}", KINDS)
    running = module.gen("A")
    next(running)
    running.close()
    assert outcomes(telemetry) == {"cancelled": 1}


def test_a_cancelled_coroutine(svc: Any, telemetry: Any) -> None:
    """CancelledError ends it as cancelled, and goes on."""
    module = svc.map("stages: {risk: {run: 'mod:coro'}}", KINDS.replace("sleep(0)", "sleep(60)"))

    async def main() -> None:
        task = asyncio.create_task(module.coro("A"))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert outcomes(telemetry) == {"cancelled": 1}


@pytest.mark.parametrize(
    ("result", "outcome"),
    [
        ({"success": True}, "ok"),
        ({"success": False}, "rejected"),
        ({"success": False, "action": "HOLD"}, "skipped"),
        ({"status": "error"}, "error"),
        ({"status": "timeout"}, "timeout"),
        (None, "cancelled"),
        ({}, "ok"),
    ],
)
def test_rules_say_the_outcome(stage_of: Any, telemetry: Any, result: Any, outcome: str) -> None:
    """The first that holds, in the order of the file; else it is ok."""
    got = stage_of(
        "outcome: {skipped: result.action == HOLD, rejected: result.success is false, "
        "error: [result.status == error, result.status == failed], "
        "timeout: result.status == timeout, cancelled: result is none}",
        lambda: result,
    )
    assert got["trading.outcome"] == outcome
    assert outcomes(telemetry) == {outcome: 1}


@pytest.mark.parametrize(
    ("raised", "outcome"),
    [(ValueError("no"), "error"), (TimeoutError(), "timeout"), (KeyError("HOLD"), "skipped")],
)
def test_exceptions_and_rules_on_them(
    svc: Any, telemetry: Any, raised: Exception, outcome: str
) -> None:
    """An exception has its own outcome unless a rule on it says more; it is always re-raised."""
    module = svc.map(
        "stages: {risk: {run: 'mod:work', set: {why: error.args.0}, "
        "outcome: {skipped: error.args.0 == HOLD}}}",
        "def work(error): raise error\n",
    )
    with pytest.raises(type(raised)) as caught:
        module.work(raised)
    assert caught.value is raised
    assert outcomes(telemetry) == {outcome: 1}


@pytest.mark.parametrize("kind", ["plain", "coro", "gen", "agen"])
def test_a_call_that_raised_has_no_result(svc: Any, telemetry: Any, kind: str) -> None:
    """`result is none` says nothing of it: the stage is an error, and its reason can be read."""
    module = svc.map(
        f"stages: {{risk: {{run: 'mod:{kind}', set: {{reason: error}}, "
        "outcome: {skipped: result is none}}}",
        """
        def plain(): raise ValueError("no price")
        async def coro(): raise ValueError("no price")
        def gen():
            yield 1
            raise ValueError("no price")
        async def agen():
            yield 1
            raise ValueError("no price")
        """,
    )

    async def consume() -> None:
        _ = [one async for one in module.agen()]

    run = {"coro": lambda: asyncio.run(module.coro()), "agen": lambda: asyncio.run(consume())}
    with pytest.raises(ValueError, match="no price"):
        run.get(kind, lambda: list(getattr(module, kind)() or ()))()
    assert outcomes(telemetry) == {"error": 1}
    assert telemetry.span("risk").attributes["trading.reason"] == "no price"
    assert not telemetry.span("risk").status.is_ok


def test_a_rule_does_not_speak_for_the_end_of_the_process(svc: Any, telemetry: Any) -> None:
    """KeyboardInterrupt and the like are nobody's outcome but their own."""
    module = svc.map(
        "stages: {risk: {run: 'mod:work', outcome: {ok: error}}}",
        "def work(): raise KeyboardInterrupt\n",
    )
    with pytest.raises(KeyboardInterrupt):
        module.work()
    assert "ok" not in outcomes(telemetry)


def test_our_words_for_theirs(stage_of: Any, telemetry: Any) -> None:
    """`map:` turns what the service says into what the catalogue counts."""
    got = stage_of(
        "set: {decision: result.verdict, risk_level: result.level}, "
        "map: {decision: {DENY: rejected}, risk_level: {'3': high}}, "
        "outcome: {rejected: result.verdict == DENY}",
        lambda: {"verdict": "DENY", "level": 3},
    )
    assert got["trading.decision"] == "rejected"
    assert telemetry.total("risk_assessments", decision="rejected") == 1
    assert telemetry.total("rejected_trades_by_risk", risk_level="high") == 1


@pytest.mark.parametrize(
    ("verdict", "words", "ours"),
    [
        (True, "{true: approved, false: rejected}", "approved"),
        (False, "{'True': approved, 'False': rejected}", "rejected"),
        (1, "{1: approved, -1: rejected}", "approved"),
        (b"yes", "{yes: approved, no: rejected}", "approved"),
        (Verdict.NO, "{DENY: rejected}", "rejected"),
        (np.bool_(False), "{true: approved, false: rejected}", "rejected"),
    ],
)
def test_words_of_every_kind(
    stage_of: Any, telemetry: Any, verdict: Any, words: str, ours: str
) -> None:
    """Booleans, numbers, bytes and members of an Enum are looked up as the file writes them."""
    got = stage_of(f"set: {{decision: result}}, map: {{decision: {words}}}", lambda: verdict)
    assert got["trading.decision"] == ours
    assert telemetry.total("risk_assessments", decision=ours) == 1


def test_values_reach_the_metrics(stage_of: Any, telemetry: Any) -> None:
    """Score and confidence are recorded, in the metric of the stage."""
    stage_of("set: {score: result}", lambda: 0.25)
    (point,) = [p for p in telemetry.metric("risk_scores") if p.count]
    assert (point.count, point.sum) == (1, 0.25)


def test_a_score_that_is_no_number_is_left_out(stage_of: Any, telemetry: Any) -> None:
    """The span shows it, the histogram does not have it."""
    stage_of("set: {score: result}", lambda: "high")
    assert telemetry.total("risk_scores") == 0


TIME = 1_767_323_045.5
AT = datetime.fromtimestamp(TIME, UTC)


@pytest.mark.parametrize(
    ("value", "unit"),
    [
        (TIME, "s"),
        (TIME * 1e3, "ms"),
        (TIME * 1e6, "us"),
        (int(TIME * 1e9), "ns"),
        (str(TIME), "s"),
        (AT.isoformat(), "s"),
        (AT, "ns"),
    ],
)
def test_event_time_in_every_unit(svc: Any, telemetry: Any, value: Any, unit: str) -> None:
    """Seconds since the epoch, whatever the service keeps."""
    module = svc.map(
        f"stages: {{signal: {{run: 'mod:work', begins: {{event_time: args.at, unit: {unit}}}}}}}",
        "def work(at): ...\n",
    )
    module.work(value)
    found = telemetry.span("signal").attributes["trading.event.time"]
    assert found == pytest.approx(TIME, abs=0.001)


@pytest.mark.parametrize("value", ["yesterday", None, True, object(), b"x"])
def test_an_event_time_that_is_none_is_left_out(svc: Any, telemetry: Any, value: Any) -> None:
    """The journey begins without it."""
    module = svc.map(
        "stages: {signal: {run: 'mod:work', begins: {event_time: args.at}}}",
        "def work(at): ...\n",
    )
    module.work(value)
    assert "trading.event.time" not in telemetry.span("signal").attributes


def test_any_stage_may_begin_and_end_a_journey(svc: Any, telemetry: Any) -> None:
    """`begins: {}` and `ends: true`: one journey for each call, ended there."""
    module = svc.map(
        "stages: {hedging: {run: 'mod:work', begins: {}, ends: true}}", "def work(): ...\n"
    )
    module.work()
    module.work()
    spans = telemetry.spans
    assert len({s.attributes["trading.signal.id"] for s in spans}) == 2
    assert all(s.attributes["trading.journey.end"] for s in spans)
    assert telemetry.total("trading.pipeline.duration", outcome="ok") == 2


def test_signal_id_of_the_service(svc: Any, telemetry: Any) -> None:
    """An id that the service has already is the signal's."""
    module = svc.map(
        "stages: {signal: {run: 'mod:work', set: {signal_id: args.order.id}}}",
        "def work(order): ...\n",
    )
    module.work({"id": "order-7"})
    assert telemetry.span("signal").attributes["trading.signal.id"] == "order-7"


def test_an_attempt_that_will_be_made_again(svc: Any, telemetry: Any) -> None:
    """`retry:` is an error that leaves the journey open; the next attempt ends it."""
    module = svc.map(
        "stages: {execution: {run: 'mod:work', set: {reason: result.why}, "
        "retry: result.again is true}}",
        "def work(result): return result\n",
    )
    module.work({"again": True, "why": "busy"})
    module.work({"again": False})
    first, second = telemetry.spans
    assert first.attributes["trading.outcome"] == "error"
    assert first.attributes["trading.reason"] == "busy"
    assert "trading.journey.end" not in first.attributes
    assert second.attributes["trading.journey.end"] is True


def test_spans_above_the_limit_are_counted_instead(svc: Any, telemetry: Any) -> None:
    """A per-ticker loop: so many spans of the stage in a trace, the rest counted, metrics exact."""
    module = svc.map(
        """
        stages:
          orchestration: {run: "mod:cycle", begins: {}}
          risk: {run: "mod:check", spans: 10, outcome: {rejected: result is false}}
        """,
        """
        def check(n): return n % 2 == 0
        def cycle():
            for n in range(250): check(n)
        """,
    )
    module.cycle()
    module.cycle()
    spans = [s for s in telemetry.spans if s.name == "risk"]
    assert len(spans) == 20
    assert len({s.context.trace_id for s in spans}) == 2
    assert outcomes(telemetry) == {"ok": 250, "rejected": 250}
    assert telemetry.total("trading.stage.unrecorded", stage="risk") == 480


def test_calls_in_several_threads(svc: Any, telemetry: Any) -> None:
    """Calls at the same time have a stage each."""
    module = svc.map(
        "stages: {signal: {run: 'mod:work', set: {symbol: args.0}}}",
        "import time\ndef work(symbol): time.sleep(0.01); return symbol\n",
    )
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(module.work, map(str, range(40)))) == [str(n) for n in range(40)]
    assert sorted(int(s.attributes["trading.symbol"]) for s in telemetry.spans) == list(range(40))


def test_nothing_of_ours_raises_into_the_service(svc: Any, monkeypatch: Any) -> None:
    """A path into an object that fails in every way costs the value, not the call."""
    monkeypatch.setattr(guard, "strict", False)
    module = svc.map(
        "stages: {risk: {run: 'mod:work', set: {score: result.a.b, symbol: args.x.y}, "
        "outcome: {rejected: result.a == 1, error: args.x > 5}}}",
        """
        class Broken:
            def __getattr__(self, name): raise RuntimeError(name)
            def __eq__(self, other): raise RuntimeError
            def __gt__(self, other): raise RuntimeError
        def work(x): return x
        """,
    )
    broken = module.Broken()
    assert module.work(broken) is broken


def test_a_wrong_rule_at_run_time_is_a_named_line(stage_of: Any) -> None:
    """A text against a number: the stage is ok, and one line names file place and rule."""
    got = stage_of("outcome: {rejected: result.score > 0.8}", lambda: {"score": "high"})
    assert got["trading.outcome"] == "ok"
    (line,) = notes.said()
    assert line.startswith("services.svc.stages.risk.outcome: 'result.score > 0.8' compares")


ROWS = """
    version: 1
    handoffs: {rows: {key: rows, retry: 1ms}}
    services:
      svc:
        stages: {execution: {run: ["mod:work", "mod:awork"], receive: {rows: args.row}}}
    """
ROWS_SOURCE = """
    import asyncio
    def work(row, until): return until()
    async def awork(row, until): return await asyncio.to_thread(until)
    """


@pytest.mark.parametrize("kind", ["work", "awork", "work in a loop"])
def test_the_end_of_a_stage_waits_for_no_store(
    svc: Any, telemetry: Any, monkeypatch: Any, kind: str
) -> None:
    """While a key that had not come is asked for, the stage ends and the loop goes on."""
    module = svc.file(ROWS, ROWS_SOURCE)
    asked, ended, waited = Event(), Event(), []

    def get(_: Any, key: str) -> None:
        if get_late():
            asked.set()
            waited.append(ended.wait(20))

    def get_late() -> bool:
        return current_thread().name == "tradespan-late" or bool(telemetry.spans)

    def until() -> bool:
        return asked.wait(20)

    async def in_a_loop() -> bool:
        return bool(module.work(7, until))

    monkeypatch.setattr(SqliteStore, "get", get)
    if kind == "work":
        assert module.work(7, until)
    else:
        assert asyncio.run(module.awork(7, until) if kind == "awork" else in_a_loop())
    assert not waited
    ended.set()
    assert telemetry.span("execution").attributes["trading.trigger"] == "broken"


@pytest.mark.parametrize("kind", ["work", "awork"])
def test_a_key_that_comes_later_than_its_row_is_a_link(
    svc: Any, telemetry: Any, monkeypatch: Any, tmp_path: Path, kind: str
) -> None:
    """The stage has begun a journey of its own, and links to the one that the key tells of."""
    module = svc.file(ROWS, ROWS_SOURCE)
    found = Event()
    question = Late.question

    def noting(late: Late) -> bool:
        again = question(late)
        if late._found:
            found.set()
        return again

    def until() -> bool:
        with tradespan.signal():
            sender.send(7)
        assert sender.flush(20)
        return found.wait(20)

    monkeypatch.setattr(Late, "question", noting)
    sender = Sender(open_store("sqlite:///tradespan-handoffs.sqlite", "rows", 60.0, tmp_path))
    result = getattr(module, kind)(7, until)
    assert asyncio.run(result) if kind == "awork" else result
    (link,) = telemetry.span("execution").links
    assert link.context.span_id == telemetry.span("signal").context.span_id


def test_off_records_nothing(svc: Any, telemetry: Any, monkeypatch: Any) -> None:
    """With tradespan switched off a mapped function is the function."""
    monkeypatch.setattr(setting, "current", Settings(enabled=False))
    module = svc.map("stages: {risk: {run: 'mod:plain'}}", KINDS)
    assert module.plain("A") == "done"
    assert not telemetry.spans
