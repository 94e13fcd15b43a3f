"""The one reader of the environment: what it takes, and what it says of what it does not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import tradespan
from tradespan import settings
from tradespan.settings import ConfigError, Settings, load, read_settings, set_defaults


def test_nothing_said() -> None:
    """An empty environment gives the documented defaults."""
    found = load({})
    assert found == Settings()
    assert (found.enabled, found.mode, found.mode_given) == (True, "live", False)
    assert (found.pipeline, found.exit_timeout, found.max_wait) == ("default", 2.0, 86_400.0)
    assert (found.budgets, found.propagate_to, found.redact) == ({}, (), ())


KEYS = [
    "TRADESPAN",
    "TRADESPAN_MODE",
    "TRADESPAN_PIPELINE",
    "TRADESPAN_BUDGETS",
    "TRADESPAN_EXIT_TIMEOUT",
    "TRADESPAN_MAX_WAIT",
    "TRADESPAN_SYMBOL_LIMIT",
    "TRADESPAN_PROPAGATE_TO",
    "TRADESPAN_PROPAGATE_NEVER",
    "TRADESPAN_REDACT",
    "TRADESPAN_PRICES",
    "TRADESPAN_LOG_FORMAT",
    "TRADESPAN_LOG_STREAMS",
]


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("empty", ["", "  "])
def test_an_empty_value_is_as_good_as_none(key: str, empty: str) -> None:
    """A variable that is set but empty, as compose files make them, counts as unset."""
    assert load({key: empty}) == Settings()


@pytest.mark.parametrize("key", KEYS)
def test_every_key_is_documented(key: str) -> None:
    """Each setting stands in the docstring of Settings under its variable's name."""
    assert f"{key}" in (Settings.__doc__ or "")


def test_everything_said() -> None:
    """Each key reaches its field, spaces and case notwithstanding."""
    found = load(
        {
            "TRADESPAN": "ON",
            "TRADESPAN_MODE": " Replay ",
            "TRADESPAN_PIPELINE": "crypto-1.x_y",
            "TRADESPAN_BUDGETS": " signal = 150ms , total=3s,",
            "TRADESPAN_EXIT_TIMEOUT": "500ms",
            "TRADESPAN_MAX_WAIT": "1.5h",
            "TRADESPAN_SYMBOL_LIMIT": "7",
            "TRADESPAN_PROPAGATE_TO": "*.Trading.svc, 10.0.0.7 ,",
            "TRADESPAN_PROPAGATE_NEVER": "api.*",
            "TRADESPAN_REDACT": "iban, ^acct_",
        }
    )
    assert found == Settings(
        enabled=True,
        mode="replay",
        mode_given=True,
        pipeline="crypto-1.x_y",
        budgets={"signal": 0.15, "total": 3.0},
        exit_timeout=0.5,
        max_wait=5400.0,
        symbol_limit=7,
        propagate_to=("*.trading.svc", "10.0.0.7"),
        propagate_never=("api.*",),
        redact=("iban", "^acct_"),
    )


@pytest.mark.parametrize(
    ("text", "enabled"),
    [("off", False), ("OFF", False), ("0", False), ("false", False), ("no", False),
     ("on", True), ("1", True), ("True", True), ("yes", True), ("", True)],
)  # fmt: skip
def test_the_switch(text: str, enabled: bool) -> None:
    """The usual words for on and off."""
    assert load({"TRADESPAN": text}).enabled is enabled


@pytest.mark.parametrize("mode", ["live", "paper", "backtest", "replay", "synthetic"])
def test_modes(mode: str) -> None:
    """All five run modes, and that one was given."""
    found = load({"TRADESPAN_MODE": mode})
    assert (found.mode, found.mode_given) == (mode, True)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1ms", 0.001), ("150ms", 0.15), ("2s", 2.0), ("1.5s", 1.5), ("15m", 900.0), ("24h", 86_400.0),
     ("2 s", 2.0), (" 2s ", 2.0)],
)  # fmt: skip
def test_durations(text: str, seconds: float) -> None:
    """Durations carry their unit."""
    assert load({"TRADESPAN_MAX_WAIT": text}).max_wait == pytest.approx(seconds)
    assert load({"TRADESPAN_BUDGETS": f"risk={text}"}).budgets["risk"] == pytest.approx(seconds)


@pytest.mark.parametrize("digit", ["²", "1" * 5000, "٣x", "x", "0", "-1", "1.5", "1e3"])
def test_symbol_limit_refuses(digit: str) -> None:
    """Whatever is no whole number from 1 is a ConfigError, never a bare one of Python's."""
    with pytest.raises(ConfigError) as caught:
        load({"TRADESPAN_SYMBOL_LIMIT": digit})
    assert caught.value.key == "TRADESPAN_SYMBOL_LIMIT"


@pytest.mark.parametrize(
    ("key", "value", "told", "hint"),
    [
        ("TRADESPAN", "maybe", "maybe", "on or off"),
        ("TRADESPAN_MODE", "prod", "prod", "live, paper, backtest, replay, synthetic"),
        ("TRADESPAN_PIPELINE", "a b", "a b", "at most 64"),
        ("TRADESPAN_PIPELINE", "x" * 65, "x" * 65, "at most 64"),
        ("TRADESPAN_PIPELINE", "crypto/1", "crypto/1", "at most 64"),
        ("TRADESPAN_SYMBOL_LIMIT", "many", "many", "whole number from 1"),
        ("TRADESPAN_EXIT_TIMEOUT", "2", "2", "250ms, 2s"),
        ("TRADESPAN_EXIT_TIMEOUT", "soon", "soon", "250ms, 2s"),
        ("TRADESPAN_EXIT_TIMEOUT", "-1s", "-1s", "250ms, 2s"),
        ("TRADESPAN_MAX_WAIT", "1d", "1d", "24h"),
        ("TRADESPAN_MAX_WAIT", "1 minute", "1 minute", "24h"),
        ("TRADESPAN_BUDGETS", "signal", "signal", "signal=150ms"),
        ("TRADESPAN_BUDGETS", "a b=1s", "a b=1s", "signal=150ms"),
        ("TRADESPAN_BUDGETS", "=1s", "=1s", "signal=150ms"),
        ("TRADESPAN_BUDGETS", "risk=20ms,signal=150", "150", "with its unit"),
        ("TRADESPAN_BUDGETS", "signal=", "", "with its unit"),
        ("TRADESPAN_PROPAGATE_TO", "http://a.b", "http://a.b", "host names or patterns"),
        ("TRADESPAN_PROPAGATE_TO", "a.b,a.b:8080", "a.b:8080", "host names or patterns"),
        ("TRADESPAN_PROPAGATE_NEVER", "10.0.0.0/8", "10.0.0.0/8", "host names or patterns"),
        ("TRADESPAN_PROPAGATE_NEVER", "a b", "a b", "host names or patterns"),
        ("TRADESPAN_REDACT", "ok,(", "(", "regular expression"),
        ("TRADESPAN_REDACT", "*x", "*x", "regular expression"),
    ],
)
def test_a_wrong_value_is_told(key: str, value: str, told: str, hint: str) -> None:
    """The error names the key, the value that is wrong, and how to mend it."""
    with pytest.raises(ConfigError) as caught:
        load({key: value})
    error = caught.value
    assert (error.key, error.value) == (key, told)
    assert hint in error.hint
    assert key in str(error)
    assert repr(told) in str(error)
    assert f"hint: {error.hint}" in str(error)


def test_config_error_is_a_value_error_and_public() -> None:
    """Callers that know ValueError only catch it too."""
    assert issubclass(ConfigError, ValueError)
    assert tradespan.ConfigError is ConfigError


def test_defaults_give_way_to_the_user() -> None:
    """A default stands only where nothing, or nothing but spaces, was said."""
    env = {"A": "mine", "B": "", "C": "  "}
    set_defaults({"A": "x", "B": "x", "C": "x", "D": "x"}, env)
    assert env == {"A": "mine", "B": "x", "C": "x", "D": "x"}


def test_the_environment_is_read_when_nothing_is_handed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a mapping it is the process's own environment."""
    for key in KEYS:
        monkeypatch.delenv(key, raising=False)
    monkeypatch.setenv("TRADESPAN_PIPELINE", "from-here")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "  risk ")
    assert load().pipeline == "from-here"
    assert settings.given("OTEL_SERVICE_NAME") == "risk"
    assert settings.given("OTEL_NO_SUCH_THING") == ""


@pytest.mark.parametrize(
    ("env", "cache"),
    [
        ({"TRADESPAN_CACHE": "/tmp/x"}, Path("/tmp/x")),
        ({"XDG_CACHE_HOME": "/tmp/y"}, Path("/tmp/y/tradespan")),
        ({"TRADESPAN_CACHE": "~/z"}, Path("~/z").expanduser()),
        ({"TRADESPAN_CACHE": " "}, Path("~/.cache/tradespan").expanduser()),
    ],
)
def test_read_side(env: dict[str, str], cache: Path) -> None:
    """The cache is where it was said, else under the user's cache folder."""
    found = read_settings(env)
    assert found.cache == cache
    assert found.environ == env


@pytest.mark.parametrize(
    ("env", "port", "host", "folder"),
    [
        ({}, None, "127.0.0.1", ""),
        ({"TRADESPAN_METRICS_PORT": " 0 "}, 0, "127.0.0.1", ""),
        ({"TRADESPAN_METRICS_PORT": "65535"}, 65535, "127.0.0.1", ""),
        ({"TRADESPAN_METRICS_HOST": "[::1]"}, None, "::1", ""),
        ({"TRADESPAN_METRICS_HOST": "0.0.0.0"}, None, "0.0.0.0", ""),
        ({"TRADESPAN_METRICS_TARGETS": "/run/t"}, None, "127.0.0.1", "/run/t"),
        ({"OTEL_METRICS_EXPORTER": "otlp, prometheus"}, 9464, "127.0.0.1", ""),
        (
            {
                "OTEL_METRICS_EXPORTER": "prometheus",
                "OTEL_EXPORTER_PROMETHEUS_PORT": "9000",
                "OTEL_EXPORTER_PROMETHEUS_HOST": "0.0.0.0",
            },
            9000,
            "0.0.0.0",
            "",
        ),
        (
            {"OTEL_METRICS_EXPORTER": "prometheus", "TRADESPAN_METRICS_PORT": "1"},
            1,
            "127.0.0.1",
            "",
        ),
        ({"OTEL_EXPORTER_PROMETHEUS_PORT": "9000"}, None, "127.0.0.1", ""),
        ({"OTEL_EXPORTER_PROMETHEUS_HOST": "0.0.0.0"}, None, "127.0.0.1", ""),
    ],
)
def test_endpoints(env: dict[str, str], port: int | None, host: str, folder: str) -> None:
    """Off, and on loopback, unless said otherwise; 0 is any free port."""
    found = load(env)
    assert (found.metrics_port, found.metrics_host, found.metrics_targets) == (port, host, folder)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("TRADESPAN_METRICS_PORT", "65536"),
        ("TRADESPAN_METRICS_PORT", "-1"),
        ("TRADESPAN_METRICS_PORT", "http"),
        ("TRADESPAN_METRICS_PORT", "\u0663"),
        ("TRADESPAN_METRICS_HOST", "http://x"),
        ("TRADESPAN_METRICS_HOST", "a b"),
    ],
)
def test_endpoints_that_cannot_be(key: str, value: str) -> None:
    """A port or host that is none is a ConfigError."""
    with pytest.raises(ConfigError) as caught:
        load({key: value})
    assert (caught.value.key, caught.value.value) == (key, value)


def test_log_streams() -> None:
    """A stream by logger name; only streams that there are."""
    found = load({"TRADESPAN_LOG_STREAMS": " payments = revenue, desk.risk=trading,"})
    assert found.log_streams == {"payments": "revenue", "desk.risk": "trading"}
    for wrong in ("payments", "=revenue", "payments=money"):
        with pytest.raises(ConfigError, match="payments=revenue"):
            load({"TRADESPAN_LOG_STREAMS": wrong})


def test_log_format() -> None:
    """JSON or the service's own."""
    assert load({"TRADESPAN_LOG_FORMAT": " JSON "}).log_format == "json"
    with pytest.raises(ConfigError, match="one of json, plain"):
        load({"TRADESPAN_LOG_FORMAT": "xml"})


NOBODY_CONFIGURES = """
import tradespan
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from tradespan.recorders import portfolio, pricing
reader = InMemoryMetricReader()
metrics.set_meter_provider(MeterProvider([reader], shutdown_on_exit=False))
with tradespan.signal(event_time=1.0):
    journey = tradespan.current_journey()
for number in range(5):
    portfolio.trade(f"S{number}", "buy")
told = reader.get_metrics_data()
found = {
    metric.name: [point for point in metric.data.data_points]
    for resource in (told.resource_metrics if told else ())
    for scope in resource.scope_metrics
    for metric in scope.metrics
}
print(journey.mode if journey else None, journey.pipeline if journey else None,
      len({p.attributes["ticker"] for p in found.get("trades", ())}),
      pricing.spend("llama", input_tokens=1_000_000), "trading.feed.age" in found)
"""


@pytest.mark.parametrize(
    ("environ", "printed", "said"),
    [
        ({}, "live default 5 None True", "the cost of model 'llama' is unknown"),
        (
            {
                "TRADESPAN_MODE": "backtest",
                "TRADESPAN_PIPELINE": "crypto",
                "TRADESPAN_SYMBOL_LIMIT": "2",
                "TRADESPAN_PRICES": "{llama: {per_million_input: 3, per_million_output: 4}}",
            },
            "backtest crypto 3 3.0 False",
            "",
        ),
        ({"TRADESPAN": "off"}, "None None 0 None False", ""),
        (
            {"TRADESPAN_MODE": "fast"},
            "None None 0 None False",
            "tradespan is switched off: TRADESPAN_MODE='fast' cannot be used",
        ),
    ],
)
def test_where_nobody_configures_the_environment_holds(
    environ: dict[str, str], printed: str, said: str
) -> None:
    """In a notebook or a backtest with an SDK of its own, from the first use on."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("TRADESPAN")}
    done = subprocess.run(
        [sys.executable, "-c", NOBODY_CONFIGURES],
        env={**kept, **environ}, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == printed
    assert said in done.stderr
    assert len(done.stderr.splitlines()) <= 2 * bool(said)
