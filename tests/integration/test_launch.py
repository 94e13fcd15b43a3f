"""`opentelemetry-instrument python service.py` is all it takes."""

from __future__ import annotations

import json
import os
import threading
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fakeredis import TcpFakeServer

from .support.collector import NAMESPACE, Collector
from .support.services import SCRIPTS, answers, free_port, run, service

SDK = ["TracerProvider", "MeterProvider", "LoggerProvider"]
NO_SDK = ["ProxyTracerProvider", "_ProxyMeterProvider", "ProxyLoggerProvider"]


@pytest.fixture
def collector() -> Iterator[Collector]:
    """Receives what the service of the test sends."""
    with Collector() as collector:
        yield collector


def facts(collector: Collector, tmp: Path, *, bare: bool = False, **env: str) -> dict[str, Any]:
    """Run the service that tells what was changed around it; its stderr is in `stderr`."""
    settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint, **env}
    code, out, err = run(["facts.py"], tmp, settings, instrumented=not bare)
    assert code == 0, err
    found: dict[str, Any] = json.loads(out)
    return {**found, "stderr": err}


def stages(collector: Collector) -> list[str]:
    """The stages that have a span."""
    return sorted(span.stage for span in collector.all_spans if span.stage)


def test_nothing_but_the_launcher(collector: Collector, tmp_path: Path) -> None:
    """Spans, metrics and logs of a journey arrive, and start-up prints nothing."""
    found = facts(collector, tmp_path)
    assert found["providers"] == SDK
    assert found["stderr"] == ""
    assert stages(collector) == ["hedging", "signal"]
    assert collector.counted() == {"hedging": 1, "signal": 1}
    assert [line.body for line in collector.all_logs] == ["hedged"]
    for span in collector.all_spans:
        assert span.trace_id == found["trace"]
        assert span.signal_id == found["journey"]
        assert span.resource["service.name"] == "under-test"
        assert span.resource["trading.mode"] == "replay"
        assert span.resource["service.instance.id"]


def test_a_mode_that_is_not_said_is_live_with_one_warning(
    collector: Collector, tmp_path: Path
) -> None:
    """The only thing that start-up prints."""
    found = facts(collector, tmp_path, TRADESPAN_MODE="")
    assert len(found["stderr"].splitlines()) == 1
    assert found["stderr"].startswith("TRADESPAN_MODE is not set: this process counts as live")
    assert collector.all_spans[0].resource["trading.mode"] == "live"


def test_configure_is_the_launcher(collector: Collector, tmp_path: Path) -> None:
    """tradespan.configure() in the code gives what the launcher gives."""
    pictures = []
    for folder, bare in (("launched", False), ("configured", True)):
        with Collector() as one:
            env = {"CONFIGURE": "{}"} if bare else {}
            found = facts(one, tmp_path / folder, bare=bare, **env)
            changing = ("service.instance.id", "telemetry.auto.version", "process.")
            resource = {
                key: value
                for key, value in one.all_spans[0].resource.items()
                if not key.startswith(changing)
            }
            shapes = sorted(
                (span.name, span.kind, sorted(span.attributes)) for span in one.all_spans
            )
            kept = {k: found[k] for k in ("threads", "providers", "propagator", "sigterm")}
            pictures.append((resource, shapes, kept, one.counted(), len(one.all_logs)))
    assert pictures[0] == pictures[1]


def test_configure_takes_settings_and_refuses_wrong_ones(
    collector: Collector, tmp_path: Path
) -> None:
    """Fields of Settings win over the environment; a wrong one is a ConfigError, and no set-up."""
    facts(collector, tmp_path, bare=True, CONFIGURE='{"mode": "paper", "pipeline": "fx"}')
    assert collector.all_spans[0].resource["trading.mode"] == "paper"
    assert {span.attributes["trading.pipeline"] for span in collector.all_spans} == {"fx"}
    wrong = {"TRADESPAN_MODE": "lve", "CONFIGURE": "{}"}
    code, out, _ = run(["facts.py"], tmp_path / "wrong", wrong, instrumented=False)
    assert code == 4
    assert json.loads(out)["key"] == "TRADESPAN_MODE"


def test_ids_do_not_repeat_after_random_seed(collector: Collector, tmp_path: Path) -> None:
    """random.seed(42), common in strategies, gives other trace ids in every process."""
    assert len({facts(collector, tmp_path / str(n))["trace"] for n in range(2)}) == 2


def test_off_is_off(collector: Collector, tmp_path: Path) -> None:
    """TRADESPAN=off: nothing is sent, nothing patched, no thread, no message; helpers still run."""
    bare = facts(collector, tmp_path / "bare", bare=True)
    off = facts(collector, tmp_path, TRADESPAN="off", TRADESPAN_MODE="")
    for changing in ("trace", "journey"):
        del bare[changing], off[changing]
    assert off == bare
    assert off["wrapped"] == []
    assert off["providers"] == NO_SDK
    assert not collector.all_spans
    assert not collector.all_logs
    assert not collector.counted()


def test_the_facts_would_show_a_patch(collector: Collector, tmp_path: Path) -> None:
    """The comparison above can fail: switched on, each of these is wrapped."""
    assert facts(collector, tmp_path)["wrapped"] == [
        "adapter", "callHandlers", "fastapi", "getsignal", "httpx", "isEnabledFor", "requests",
        "signal",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("key", "value", "hint"),
    [
        ("TRADESPAN_MODE", "lve", "one of live, paper, backtest, replay, synthetic"),
        ("TRADESPAN_EXIT_TIMEOUT", "soon", "give a duration with its unit"),
        ("TRADESPAN_PROPAGATE_TO", "http://risk", "host names or patterns only"),
    ],
)
def test_a_wrong_setting_is_one_clear_message(
    key: str, value: str, hint: str, collector: Collector, tmp_path: Path
) -> None:
    """It names key, value and hint; the service runs on, without us."""
    found = facts(collector, tmp_path, **{key: value})
    message = found["stderr"]
    assert message.count("\n") <= 2
    assert f"{key}={value!r}" in message
    assert f"hint: {hint}" in message
    assert found["providers"] == NO_SDK
    assert not collector.all_spans


def test_otel_sdk_disabled(collector: Collector, tmp_path: Path) -> None:
    """OpenTelemetry's own switch switches us off too: no thread, no patch of logs and signals."""
    found = facts(collector, tmp_path, OTEL_SDK_DISABLED="true")
    assert found["stderr"] == ""
    assert found["threads"] == ["MainThread"]
    assert not {"callHandlers", "isEnabledFor", "signal", "getsignal"} & set(found["wrapped"])
    assert not collector.all_spans
    assert not collector.all_logs


def test_the_users_settings_win(collector: Collector, tmp_path: Path) -> None:
    """OTEL_* that the user has said stay: exporters, resource attributes, service name."""
    found = facts(
        collector,
        tmp_path,
        OTEL_METRICS_EXPORTER="none",
        OTEL_LOGS_EXPORTER="none",
        OTEL_RESOURCE_ATTRIBUTES=(
            f"service.namespace={NAMESPACE},trading.mode=paper,service.instance.id=one"
        ),
    )
    assert found["stderr"] == ""
    assert {span.resource["trading.mode"] for span in collector.all_spans} == {"paper"}
    assert {span.resource["service.instance.id"] for span in collector.all_spans} == {"one"}
    assert not collector.counted()
    assert not collector.all_logs


def test_a_signal_specific_endpoint_wins(collector: Collector, tmp_path: Path) -> None:
    """OTEL_EXPORTER_OTLP_TRACES_ENDPOINT sends spans elsewhere."""
    with Collector() as other:
        endpoint = f"{other.endpoint}/v1/traces"
        facts(collector, tmp_path, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=endpoint)
        assert stages(other) == ["hedging", "signal"]
    assert not collector.all_spans
    assert collector.counted()


def another(tmp: Path, *groups: str) -> str:
    """A folder with another installed package that offers these entry points, found before ours."""
    info = tmp / "site" / "another-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: another\nVersion: 1.0\n")
    points = {"opentelemetry_distro": "Distro", "opentelemetry_configurator": "Configurator"}
    (info / "entry_points.txt").write_text(
        "".join(f"[{group}]\nanother = another:{points[group]}\n" for group in groups)
    )
    (tmp / "site" / "another.py").write_text(
        "class Distro:\n    def configure(self): print('another')\n"
        "    def load_instrumentor(self, point, **kwargs): pass\n"
        "class Configurator:\n    def configure(self, **kwargs): print('another')\n"
    )
    return str(tmp / "site")


@pytest.mark.parametrize("distro", ["", "tradespan"])
def test_distro_and_configurator_are_bound(
    distro: str, collector: Collector, tmp_path: Path
) -> None:
    """Another package's configurator does not slip in, nor its distro where ours is named."""
    groups = ["opentelemetry_configurator", *(["opentelemetry_distro"] if distro else [])]
    path = os.pathsep.join([another(tmp_path, *groups), str(SCRIPTS)])
    env = {"PYTHONPATH": path, **({"OTEL_PYTHON_DISTRO": distro} if distro else {})}
    found = facts(collector, tmp_path, **env)
    assert found["providers"] == SDK
    assert stages(collector) == ["hedging", "signal"]


def test_fastapi_gives_one_span_a_request(collector: Collector, tmp_path: Path) -> None:
    """No send and receive spans; stable HTTP attributes; the stage stands inside."""
    port = free_port()
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint, "PORT": str(port), "SECONDS": "0"}
    with service(["remote.py"], tmp_path, env) as one:
        one.until(lambda: answers(port))
        urllib.request.urlopen(f"http://127.0.0.1:{port}/assess", timeout=30).read()
        one.stop()
    assert Counter(span.kind for span in collector.all_spans) == {"server": 1, "internal": 1}
    server, stage = sorted(collector.all_spans, key=lambda span: span.kind != "server")
    assert server.name == "GET /assess"
    assert server.attributes["http.request.method"] == "GET"
    assert server.attributes["http.response.status_code"] == 200
    assert server.attributes["http.route"] == "/assess"
    assert "http.method" not in server.attributes
    assert stage.parent_id == server.span_id


BAD = {
    "malformed traceparent": {"traceparent": "00-zz-yy-01", "baggage": "trading.signal.id=a"},
    "malformed baggage": {"baggage": "trading.signal.id=%00%01,trading.origin=soon"},
    "oversized": {"baggage": "trading.signal.id=a,x=" + "y" * 9000},
    "wrong origin": {"baggage": "trading.signal.id=a,trading.origin=12"},
    "empty": {"traceparent": "", "baggage": ""},
}


def test_bad_headers_lose_nothing(collector: Collector, tmp_path: Path) -> None:
    """A request whose journey cannot be read is served; a new journey begins; it is counted."""
    port = free_port()
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint, "PORT": str(port), "SECONDS": "0"}
    with service(["remote.py"], tmp_path, env) as one:
        one.until(lambda: answers(port))
        for headers in BAD.values():
            request = urllib.request.Request(f"http://127.0.0.1:{port}/assess", headers=headers)
            assert urllib.request.urlopen(request, timeout=30).status == 200
        one.stop()
    assert one.stderr.count("\n") == 0, one.stderr
    assert stages(collector) == ["risk"] * len(BAD)
    assert len({span.signal_id for span in collector.all_spans if span.stage}) == len(BAD)
    broken = collector.total("trading.journey.broken", by=("reason",))
    assert {r: n for (r,), n in broken.items() if n} == {"malformed": 3, "oversized": 1}


def test_polls_leave_no_trace(collector: Collector, tmp_path: Path) -> None:
    """Redis commands have spans inside a stage only; a loop that finds nothing leaves none."""
    server = TcpFakeServer(("127.0.0.1", 0), server_type="redis")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        env = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
            "REDIS": f"redis://127.0.0.1:{server.server_address[1]}",
        }
        code, _, err = run(["polling.py"], tmp_path, env)
        assert code == 0, err
    finally:
        server.shutdown()
        server.server_close()
    by_id = {span.span_id: span for span in collector.all_spans}
    commands = [span for span in collector.all_spans if span.kind == "client"]
    inside = {(span.name, by_id[str(span.parent_id)].stage) for span in commands}
    assert inside == {("XADD", "signal"), ("SET", "orchestration")}
