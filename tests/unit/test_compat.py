"""The catalogue's helpers and metric objects of section 2, by what they export."""

from __future__ import annotations

import asyncio
import inspect
import logging
import re
import subprocess
import sys
import time
import urllib.request
from typing import Any

import prometheus_client
import pytest

from tradespan import compat, guard
from tradespan.compat.__main__ import main
from tradespan.compat.demo import desk
from tradespan.recorders import system

from ..support.catalogue import CATALOGUE

SECTION = {e["prometheus"]: e for e in CATALOGUE if e["section"] == 2}


@pytest.fixture(autouse=True)
def _forget(telemetry: object) -> None:
    """No uptime of another test."""
    system._began.clear()


def test_there_is_an_object_for_each_of_the_24() -> None:
    """Named as in Prometheus, in capitals, of its kind."""
    objects = {n: getattr(compat, n) for n in compat.__all__ if n.isupper()}
    assert set(objects) == {name.upper() for name in SECTION}
    assert len(objects) == 24
    for name, entry in SECTION.items():
        kinds = [kind.__name__.lower() for kind in type(objects[name.upper()]).__mro__]
        assert entry["type"] in kinds
    assert compat.__all__ == sorted(compat.__all__)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("track_ai_request", ["model", "cost_usd"]),
        ("track_feature_calculation", ["name"]),
        ("track_trade", ["ticker", "side", "quantity", "fill_price"]),
        ("track_constitution_check", ["rule", "passed"]),
        ("update_cache_metrics", ["hits", "misses"]),
        ("update_portfolio_metrics", ["total_value", "cash", "num_positions", "daily_pnl",
                                      "total_return_pct", "max_drawdown_pct"]),
        ("update_system_health", ["uptime_seconds", "timescale_connected", "redis_connected",
                                  "kill_switch_active"]),
        ("start_monitoring_server", ["port"]),
    ],
)  # fmt: skip
def test_the_helpers_have_their_signatures(name: str, arguments: list[str]) -> None:
    """As the catalogue has them; the server's port is 8001 unless told."""
    signature = inspect.signature(getattr(compat, name))
    assert list(signature.parameters) == arguments
    if name == "start_monitoring_server":
        assert signature.parameters["port"].default == 8001


def test_the_objects_record(telemetry: Any) -> None:
    """As their namesakes of prometheus_client do."""
    compat.AGENT_DECISIONS_TOTAL.labels(ticker="AAPL", action="BUY").inc()
    compat.AGENT_DECISIONS_TOTAL.labels("AAPL", "BUY").inc(2)
    compat.AI_API_LATENCY_SECONDS.labels(model_name="haiku").observe(0.5)
    with compat.AI_API_LATENCY_SECONDS.labels("haiku").time():
        pass
    compat.AI_API_COST_USD_TOTAL.labels(model_name="haiku").inc(0.0007)
    compat.KILL_SWITCH_STATUS.set(1)
    compat.CURRENT_POSITIONS_COUNT.set(5)
    compat.CURRENT_POSITIONS_COUNT.inc()
    compat.CURRENT_POSITIONS_COUNT.dec(3)
    compat.CONSTITUTION_CHECKS_TOTAL.labels(rule_name="r", result="PASS").inc()
    assert telemetry.total("agent_decisions", ticker="AAPL", action="buy") == 3
    assert telemetry.total("ai_api_latency", model_name="haiku") == 2
    assert telemetry.total("ai_api_cost", model_name="haiku") == 0.0007
    assert telemetry.last("kill_switch_status") == 1
    assert telemetry.last("current_positions_count") == 3
    assert telemetry.total("constitution_checks", rule_name="r", result="pass") == 1


def test_blocks_and_decorators(telemetry: Any) -> None:
    """What prometheus_client puts around a block goes around a function as well."""

    @compat.FEATURE_CALCULATION_LATENCY_SECONDS.time()
    @compat.track_feature_calculation("mom_20d")
    @compat.track_ai_request("haiku", cost_usd=0.5)
    @compat.CURRENT_POSITIONS_COUNT.track_inprogress()
    @compat.DAILY_PNL.time()
    @compat.AGENT_ANALYSES_TOTAL.count_exceptions((KeyError, OSError))
    def work(error: type[Exception] | None) -> Any:
        if error:
            raise error
        return telemetry.last("current_positions_count")

    async def later() -> Any:
        return work(None)

    assert work(None) == 1
    assert asyncio.run(compat.FEATURE_CALCULATION_LATENCY_SECONDS.time()(later)()) == 1
    for error in (KeyError, ValueError):
        with pytest.raises(error):
            work(error)
    assert telemetry.last("current_positions_count") == 0
    assert telemetry.total("feature_calculation_latency") == 9
    assert telemetry.total("ai_api_requests", model_name="haiku") == 4
    assert telemetry.total("ai_api_cost", model_name="haiku") == 1.0
    assert telemetry.total("agent_analyses") == 1
    assert 0 <= telemetry.last("daily_pnl") < 60


def test_what_has_no_counterpart_raises_nothing(telemetry: Any) -> None:
    """It is counted, and what was recorded goes on."""
    trades = compat.TRADES_TOTAL
    trades.labels("AAPL", "buy").inc()
    trades.remove("AAPL", "buy")
    trades.remove_by_labels({"ticker": "AAPL"})
    trades.clear()
    trades.labels("AAPL", "buy").reset()
    compat.CURRENT_POSITIONS_COUNT.set(3)
    compat.CURRENT_POSITIONS_COUNT.set_function(lambda: 1 / 0)
    assert telemetry.total("trades", ticker="AAPL", side="buy") == 1
    assert telemetry.last("current_positions_count") == 3
    assert telemetry.last("tradespan.telemetry.failures", site="recorders.portfolio") == 5


def test_they_have_the_methods_of_prometheus_client() -> None:
    """Those by which a service records: code that calls them finds them."""
    for ours, theirs in (
        (compat.TRADES_TOTAL, prometheus_client.Counter),
        (compat.DAILY_PNL, prometheus_client.Gauge),
        (compat.AI_API_LATENCY_SECONDS, prometheus_client.Histogram),
    ):
        methods = {n for n in dir(theirs) if not n.startswith("_") and callable(getattr(theirs, n))}
        assert not {n for n in methods - {"collect", "describe"} if not hasattr(ours, n)}


def test_a_gauge_is_one_with_its_helper(telemetry: Any) -> None:
    """What the helper has set, the object goes on from, and the other way round."""
    compat.update_portfolio_metrics(num_positions=5)
    compat.CURRENT_POSITIONS_COUNT.inc()
    assert telemetry.last("current_positions_count") == 6
    compat.update_portfolio_metrics(num_positions=2)
    compat.CURRENT_POSITIONS_COUNT.dec()
    assert telemetry.last("current_positions_count") == 1


def test_a_port_that_is_none_is_said_on_the_command_line(capsys: Any) -> None:
    """With the usage and status 2, not with a traceback."""
    with pytest.raises(SystemExit) as ended:
        main(["--port", "99999"])
    assert ended.value.code == 2
    assert "port=99999 cannot be used" in capsys.readouterr().err


def test_every_object_records_its_metric(telemetry: Any) -> None:
    """Under the name and labels of catalogue.json."""
    words = {"action": "buy", "side": "buy", "result": "pass"}
    for name, entry in SECTION.items():
        one = getattr(compat, name.upper())
        if entry["labels"]:
            one = one.labels(**{key: words.get(key, "x") for key in entry["labels"]})
        record = {"counter": "inc", "gauge": "set", "histogram": "observe"}[entry["type"]]
        getattr(one, record)(1)
    for entry in SECTION.values():
        points = [p for p in telemetry.metric(entry["name"]) if p.value or p.count]
        assert points, entry["name"]
        assert {frozenset(p.labels) for p in points} == {frozenset(entry["labels"])}


def test_a_wrong_label_is_counted_not_raised(telemetry: Any) -> None:
    """prometheus_client raises; in a trading service nothing of ours does."""
    compat.TRADES_TOTAL.labels(symbol="AAPL", side="buy").inc()
    compat.TRADES_TOTAL.labels("AAPL", "buy", "more").inc()
    compat.CACHE_MISSES_TOTAL.labels("L1").inc()
    assert telemetry.total("trades") == 2
    assert telemetry.total("cache_misses") == 1
    assert guard.failures["recorders.portfolio"] == 2
    assert guard.failures["recorders.features"] == 1


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "much", None])
def test_a_gauge_keeps_its_value_when_told_nonsense(telemetry: Any, value: Any) -> None:
    """And counts it."""
    compat.DAILY_PNL.set(5)
    compat.DAILY_PNL.set(value)
    assert telemetry.last("daily_pnl") == 5
    compat.DAILY_PNL.inc()
    assert telemetry.last("daily_pnl") == 6


def test_the_uptime_goes_on_from_where_it_was_set(telemetry: Any) -> None:
    """It needs no loop that sets it."""
    compat.SYSTEM_UPTIME_SECONDS.set(100)
    assert 100 <= telemetry.last("system_uptime") < 105
    compat.SYSTEM_UPTIME_SECONDS.inc(50)
    assert 150 <= telemetry.last("system_uptime") < 155


def test_a_request_is_tracked(telemetry: Any) -> None:
    """Counted, timed and priced; an exception goes on, and costs nothing."""

    async def ask() -> None:
        async with compat.track_ai_request("haiku", cost_usd=0.5):
            await asyncio.sleep(0)

    asyncio.run(ask())
    with compat.track_ai_request("haiku", 0.25):
        pass
    with pytest.raises(ValueError), compat.track_ai_request("haiku", cost_usd=8):
        raise ValueError
    assert telemetry.total("ai_api_requests", model_name="haiku") == 3
    assert telemetry.total("ai_api_latency", model_name="haiku") == 3
    assert telemetry.total("ai_api_cost", model_name="haiku") == 0.75


def test_the_other_helpers(telemetry: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Each sets or counts what it says."""
    with compat.track_feature_calculation("mom_20d"):
        pass
    with caplog.at_level(logging.INFO):
        compat.track_trade("AAPL", "BUY", quantity=10, fill_price=150.25)
    compat.track_constitution_check("max_positions", passed=False)
    compat.update_cache_metrics(hits=95, misses=5)
    compat.update_portfolio_metrics(
        total_value=105_000.0, cash=50_000.0, num_positions=7, daily_pnl=1250.5,
        total_return_pct=5.0, max_drawdown_pct=-3.5,
    )  # fmt: skip
    compat.update_system_health(
        uptime_seconds=60, timescale_connected=True, redis_connected=False, kill_switch_active=False
    )
    assert caplog.messages == ["trade: BUY 10 AAPL at 150.25"]
    assert telemetry.total("feature_calculation_latency") == 1
    assert telemetry.total("trades", ticker="AAPL", side="buy") == 1
    assert telemetry.total("constitution_violations", rule_name="max_positions") == 1
    assert telemetry.total("cache_hits") == 0
    gauges = {"cache_hit_rate": 0.95, "portfolio_total_value": 105_000, "portfolio_cash": 50_000,
              "current_positions_count": 7, "daily_pnl": 1250.5, "total_return_pct": 5,
              "max_drawdown_pct": -3.5, "timescale_connection_status": 1,
              "redis_connection_status": 0, "kill_switch_status": 0}  # fmt: skip
    assert {name: telemetry.last(name) for name in gauges} == gauges


def test_what_a_helper_is_not_told_stays_unset(telemetry: Any) -> None:
    """A backtest that knows no cash shows none."""
    compat.update_portfolio_metrics(total_value=1.0)
    compat.update_system_health(redis_connected=True)
    assert telemetry.last("portfolio_cash") is None
    assert telemetry.last("max_drawdown_pct") is None
    assert telemetry.last("kill_switch_status") is None


def test_the_demo_shows_all_of_section_2(telemetry: Any) -> None:
    """Within its first twelve steps."""
    for _, _ in zip(range(12), desk(), strict=False):
        pass
    for entry in SECTION.values():
        assert telemetry.metric(entry["name"]), entry["name"]


def test_the_objects_need_no_sdk() -> None:
    """Importing and using them imports none, and says nothing."""
    code = (
        "import sys; from tradespan import compat\n"
        "compat.TRADES_TOTAL.labels(ticker='A', side='BUY').inc()\n"
        "compat.update_system_health(redis_connected=True)\n"
        "print([m for m in sys.modules if m.startswith('opentelemetry.sdk')])"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_the_demo_serves_them() -> None:
    """`python -m tradespan.compat`, on a free port: /metrics has the 24, with HELP and TYPE."""
    command = [sys.executable, "-W", "error", "-m", "tradespan.compat", "--port", "0"]
    with subprocess.Popen(
        [*command, "--seconds", "30"], stderr=subprocess.PIPE, text=True
    ) as server:
        try:
            text = scrape_until_all_is_there(server)
        finally:
            server.terminate()
    found = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M))
    helps = dict(re.findall(r"^# HELP (\S+) (.*)$", text, re.M))
    for name, entry in SECTION.items():
        assert (found[name], helps[name]) == (entry["type"], entry["description"])


def scrape_until_all_is_there(server: subprocess.Popen[str]) -> str:
    """What the demo shows once it has used all of section 2, or after ten seconds."""
    said = ""
    for line in server.stderr or ():
        said += line
        address = re.search(r"(http://127\.0\.0\.1:\d+/metrics) shows the demo", line)
        if address:
            break
    else:
        pytest.fail(said)
    text, end = "", time.monotonic() + 10
    while time.monotonic() < end and not all(f"# TYPE {name} " in text for name in SECTION):
        time.sleep(0.1)
        with urllib.request.urlopen(address[1], timeout=5) as answer:
            text = answer.read().decode()
    return text
