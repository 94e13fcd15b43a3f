"""The shipped configurations in the hands of the real programs."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tradespan import bundle, lab
from tradespan.lab import reaper
from tradespan.settings import ReadSettings

COLLECTOR = bundle.path("collector")
OVERLAYS = sorted(p.stem for p in (COLLECTOR / "overlays").glob("*.yaml"))
COMBINATIONS = [[], *([name] for name in OVERLAYS)]
PATIENCE_S = 60.0


def run(*command: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(c) for c in command], capture_output=True, text=True, check=False)


def get(url: str, **query: str) -> Any:
    with urllib.request.urlopen(f"{url}?{urllib.parse.urlencode(query)}", timeout=10) as answer:
        return json.load(answer)


def until(found: Callable[[], Any]) -> Any:
    """What `found` returns once it is true; its last word when patience is over."""
    deadline = time.monotonic() + PATIENCE_S
    while not (value := found()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return value


def attributes(**values: Any) -> list[dict[str, Any]]:
    """Attributes as OTLP's JSON has them; `__` in a name stands for a dot."""
    kinds = {bool: "boolValue", int: "intValue", float: "doubleValue", str: "stringValue"}
    return [
        {"key": key.replace("__", "."), "value": {kinds[type(value)]: value}}
        for key, value in values.items()
    ]


def now_ns(*, minus_s: float = 0.0) -> str:
    return str(time.time_ns() - int(minus_s * 1e9))


class Sender:
    """Sends OTLP as JSON, one request a call, as one service."""

    def __init__(self, stack: lab.Stack, service: str) -> None:
        self.at = stack.addresses
        self.service = service
        self._resource = {
            "attributes": attributes(
                service__name=service, service__instance__id=f"{service}-1", trading__mode="replay"
            )
        }

    def spans(self, *spans: dict[str, Any]) -> None:
        self._send("traces", "resourceSpans", "scopeSpans", {"spans": list(spans)})

    def lines(self, *records: dict[str, Any]) -> None:
        self._send("logs", "resourceLogs", "scopeLogs", {"logRecords": list(records)})

    def metrics(self, *metrics: dict[str, Any]) -> None:
        self._send("metrics", "resourceMetrics", "scopeMetrics", {"metrics": list(metrics)})

    def _send(self, signal: str, outer: str, inner: str, items: dict[str, Any]) -> None:
        body = {outer: [{"resource": self._resource, inner: [items]}]}
        request = urllib.request.Request(
            f"{self.at.otlp_http}/v1/{signal}",
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert answer.status == 200

    def traces_found(self) -> list[Any]:
        query = {"service": self.service, "limit": "1000"}
        return list(get(f"{self.at.jaeger}/api/traces", **query)["data"])

    def streams_found(self) -> list[Any]:
        query = {"query": f'{{service_name="{self.service}"}}', "limit": "1000"}
        answer = get(f"{self.at.loki}/loki/api/v1/query_range", **query)
        return list(answer["data"]["result"])

    def series_found(self, metric: str) -> list[Any]:
        query = f'{metric}{{service_name="{self.service}"}}'
        return list(get(f"{self.at.prometheus}/api/v1/query", query=query)["data"]["result"])


def span(number: int, name: str = "signal", **more: Any) -> dict[str, Any]:
    return {
        "traceId": f"{number + 1:032x}",
        "spanId": f"{number + 1:016x}",
        "name": name,
        "kind": 1,
        "startTimeUnixNano": now_ns(minus_s=0.25),
        "endTimeUnixNano": now_ns(),
        **more,
    }


def line(body: str, **values: Any) -> dict[str, Any]:
    return {
        "timeUnixNano": now_ns(),
        "severityNumber": 9,
        "body": {"stringValue": body},
        "attributes": attributes(**values),
    }


def counter(
    name: str, value: float, *, at: str | None = None, delta: bool = False, **values: Any
) -> dict[str, Any]:
    point = {
        "asDouble": value,
        "timeUnixNano": at or now_ns(),
        "startTimeUnixNano": now_ns(minus_s=1) if at is None else at,
        "attributes": attributes(**values),
    }
    sum_ = {"aggregationTemporality": 1 if delta else 2, "isMonotonic": True, "dataPoints": [point]}
    return {"name": name, "unit": "{order}", "sum": sum_}


@pytest.fixture
def alone(
    read_side: ReadSettings,
    programs: dict[str, Path],
    request: pytest.FixtureRequest,
) -> Iterator[lab.Stack]:
    """A Collector whose backends are all down, with the overlays of the parameter."""
    overlays = getattr(request, "param", [])
    with lab.Stack(
        read_side, programs=["otelcol"], overlays=overlays, environment=lab.FAST
    ) as running:
        yield running


@pytest.mark.parametrize("overlays", COMBINATIONS, ids="+".join)
def test_collector_validates_without_a_word(programs: dict[str, Path], overlays: list[str]) -> None:
    """The real Collector accepts the file, alone and with each overlay, and warns of nothing."""
    files = [
        bundle.path("otel-collector.yaml"),
        *(COLLECTOR / f"overlays/{o}.yaml" for o in overlays),
    ]
    answer = run(programs["otelcol"], "validate", *(f"--config={file}" for file in files))
    assert (answer.returncode, answer.stdout, answer.stderr) == (0, "", "")


@pytest.mark.parametrize("alone", COMBINATIONS, ids="+".join, indirect=True)
def test_collector_starts_without_a_warning(alone: lab.Stack) -> None:
    """Deprecated names and risky settings are told at start only; there are none.

    That a model server is down, which none is here, may be told.
    """
    told = [row for row in alone.log("otelcol").splitlines() if "Failed to scrape" not in row]
    loud = [row for row in told if "\tinfo\t" not in row]
    assert loud == []


def test_prometheus_configuration(programs: dict[str, Path]) -> None:
    """promtool accepts the shipped file."""
    answer = run(programs["promtool"], "check", "config", COLLECTOR / "prometheus/prometheus.yaml")
    assert answer.returncode == 0, answer.stderr
    assert "SUCCESS" in answer.stdout
    assert "WARN" not in answer.stdout + answer.stderr


def test_alertmanager_configuration(programs: dict[str, Path]) -> None:
    """amtool accepts the shipped file, and an alert finds a receiver."""
    file = COLLECTOR / "alertmanager/alertmanager.yaml"
    assert run(programs["amtool"], "check-config", file).returncode == 0
    routed = run(
        programs["amtool"], "config", "routes", "test", f"--config.file={file}",
        "--verify.receivers=nobody", "severity=page",
    )  # fmt: skip
    assert routed.returncode == 0, routed.stderr


def test_compose_file(programs: dict[str, Path]) -> None:
    """Compose's own parser loads the file: the five programs, and Grafana."""
    answer = run(programs["composecheck"], COLLECTOR / "compose.yaml")
    assert answer.returncode == 0, answer.stderr
    for service in ("otelcol", "prometheus", "jaeger", "loki", "alertmanager", "grafana"):
        assert service in answer.stdout


def test_compose_check_can_fail(programs: dict[str, Path], tmp_path: Path) -> None:
    """The checker that the test above trusts does refuse a file that is wrong."""
    file = tmp_path / "compose.yaml"
    file.write_text("services: {a: {image: x, imagge: y}}\n")
    assert run(programs["composecheck"], file).returncode == 1


SECRETS = {
    "api_key": "k-4711-4712",
    "exchange__api_secret": "s-4711-4712",
    "passphrase": "p-4711-4712",
    "http__request__header__authorization": "a-4711-4712",
    "http__request__header__cb-access-sign": "c-4711-4712",
    "session_token": "t-4711-4712",
    "header": "Bearer b-4711-4712",
    "note": "key sk-ant-4711-4712-4711-4712 used",
    "dsn": "redis://trader:pw-4711-4712@cache:6379/0",
    "url__full": "https://api.example/order?symbol=BTC&signature=4711-4712",
    "jwt": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI0NzExLTQ3MTIifQ.4711-4712",
}
KEPT = {"gen_ai__usage__input_tokens": 4321, "max_tokens": 4322, "symbol": "BTC-USD"}


def test_secrets_reach_no_backend(stack: lab.Stack) -> None:
    """Keys, values, log bodies, status and event texts are masked; counts of tokens are not."""
    sender = Sender(stack, "leaky")
    told = 'refused: password=hunter-4711-4712, {"api_key": "j-4711-4712", "n": 5}'
    event = {"name": "e", "timeUnixNano": now_ns(), "attributes": attributes(message=told)}
    status = {"code": 2, "message": told}
    sender.spans(
        span(7_000, attributes=attributes(**SECRETS, **KEPT), events=[event], status=status)
    )
    sender.lines(line(told, **SECRETS, **KEPT))
    sender.metrics(counter("leaks", 1, symbol="BTC-USD", note=SECRETS["note"]))

    found = [
        json.dumps(until(sender.traces_found)),
        json.dumps(until(sender.streams_found)),
        json.dumps(until(lambda: sender.series_found("leaks_total"))),
    ]
    for text in found:
        assert "BTC-USD" in text
        assert "4711-4712" not in text
        assert "****" in text
    for text in found[:2]:
        assert "4321" in text
        assert "4322" in text
        assert r"\"n\": 5" in text  # the body is still the JSON that it was


def test_index_labels_of_logs_are_few(stack: lab.Stack) -> None:
    """An instance's id makes no stream of its own, but is found as metadata."""
    sender = Sender(stack, "talker")
    sender.lines(line("hello", trading__signal__id="sig-7"))
    (stream,) = until(sender.streams_found)
    assert stream["stream"]["service_instance_id"] == "talker-1"
    assert stream["stream"]["trading_signal_id"] == "sig-7"
    labels = get(f"{sender.at.loki}/loki/api/v1/labels")["data"]
    assert {"service_name", "trading_mode"} <= set(labels)
    assert "service_instance_id" not in labels


def test_poison_does_not_take_its_companions_along(stack: lab.Stack) -> None:
    """One delta or stale point makes Prometheus refuse a request; it is taken out before."""
    sender = Sender(stack, "poisoner")
    sender.metrics(
        counter("stale", 1, at=now_ns(minus_s=7_200)),
        counter("shrunk", 1, delta=True),
        counter("sound", 5),
    )
    (series,) = until(lambda: sender.series_found("sound_total"))
    assert series["value"][1] == "5"
    assert series["metric"]["trading_mode"] == "replay"
    assert sender.series_found("shrunk_total") == []


def test_span_metrics_are_in_seconds_and_know_the_stage(stack: lab.Stack) -> None:
    """A span of 250 ms counts 0.25, under its stage, pipeline and outcome."""
    sender = Sender(stack, "timed")
    stage = attributes(trading__stage="risk", trading__pipeline="crypto", trading__outcome="ok")
    sender.spans(span(8_000, name="risk", attributes=stage))
    metric = "traces_span_metrics_duration_seconds_sum"
    series = until(lambda: sender.series_found(metric))
    assert 0.2 < float(series[0]["value"][1]) < 0.5
    labels = series[0]["metric"]
    assert (labels["trading_stage"], labels["trading_pipeline"]) == ("risk", "crypto")
    assert (labels["trading_outcome"], labels["trading_mode"]) == ("ok", "replay")
    assert "collector_instance_id" not in labels


@pytest.mark.parametrize("alone", [["scrape"]], ids="+".join, indirect=True)
def test_scrape_overlay_has_the_labels_of_the_other_way(alone: lab.Stack) -> None:
    """Pulled metrics carry the labels that Prometheus gives to pushed ones."""
    Sender(alone, "pulled").metrics(counter("fills", 3, symbol="BTC-USD"))

    def scraped() -> list[str]:
        with urllib.request.urlopen(alone.addresses.scrape, timeout=10) as answer:
            rows = answer.read().decode().splitlines()
        return [row for row in rows if row.startswith("fills_total")]

    (row,) = until(scraped)
    assert row.endswith(" 3")
    for label in ("service_name", "job"):
        assert f'{label}="pulled"' in row
    assert 'trading_mode="replay"' in row
    assert 'service_instance_id="pulled-1"' in row


def test_sigterm_ends_a_collector_whose_backends_are_down(alone: lab.Stack) -> None:
    """Full of data that it cannot get rid of, it still ends by itself."""
    sender = Sender(alone, "stuck")
    for number in range(20):
        sender.spans(span(number))
        sender.lines(line("stuck"))
    assert reaper.end([alone.children["otelcol"].identity], grace=20.0) == []


def test_what_was_accepted_survives_a_crash_while_all_backends_are_down(
    read_side: ReadSettings,
    programs: dict[str, Path],
) -> None:
    """kill -9 of the Collector: every span, line and point arrives once the backends are back."""
    with lab.Stack(read_side, environment=lab.FAST) as own:
        sender = Sender(own, "survivor")
        for backend in ("prometheus", "jaeger", "loki"):
            own.kill(backend)
        for number in range(0, 60, 3):
            sender.spans(*(span(n) for n in range(number, number + 3)))
            sender.lines(*(line(f"line {n}") for n in range(number, number + 3)))
        sender.metrics(*(counter(f"orders_{n}", n + 1) for n in range(30)))
        own.kill("otelcol")
        for program in ("prometheus", "jaeger", "loki", "otelcol"):
            own.restart(program)

        until(lambda: len(sender.traces_found()) >= 60)
        found = [s["spanID"] for trace in sender.traces_found() for s in trace["spans"]]
        assert sorted(found) == [f"{n + 1:016x}" for n in range(60)]

        def lines_found() -> list[str]:
            return [value[1] for stream in sender.streams_found() for value in stream["values"]]

        until(lambda: len(lines_found()) >= 60)
        assert sorted(lines_found()) == sorted(f"line {n}" for n in range(60))

        def points_found() -> dict[str, str]:
            series = get(
                f"{own.addresses.prometheus}/api/v1/query", query='{__name__=~"orders_.*"}'
            )
            return {s["metric"]["__name__"]: s["value"][1] for s in series["data"]["result"]}

        expected = {f"orders_{n}_total": str(n + 1) for n in range(30)}
        assert until(lambda: len(points_found()) >= 30)
        assert points_found() == expected
