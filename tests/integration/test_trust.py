"""Trace context and ids leave only to trusted hosts; a trusted one has them, and its timing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from .support.collector import Collector
from .support.peers import Peer, Request
from .support.services import answers, free_port, run, service

CLIENTS = ["httpx", "httpx-async", "requests", "aiohttp"]
EXCHANGE = "exchange.example.com"
SAMPLERS = {
    "always on": {},
    "always off": {"OTEL_TRACES_SAMPLER": "always_off"},
    "ratio 0": {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0"},
}


@pytest.fixture
def peer() -> Iterator[Peer]:
    """Stands for every host that is called."""
    with Peer() as peer:
        yield peer


def call(peer: Peer, client: str, tmp: Path, *urls: str, bare: bool = False, **env: str) -> str:
    """Let a service call addresses; the ids of its signals, all in one text."""
    settings = {
        "CALLS": json.dumps(urls),
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9",
        "TRADESPAN_EXIT_TIMEOUT": "1ms",
        **({"CONFIGURE": "yes"} if bare else {}),
        **env,
    }
    code, out, err = run(["caller.py", client], tmp, settings, instrumented=not bare)
    assert code == 0, err
    answers = [json.loads(line) for line in out.splitlines()]
    assert [status for _, _, status in answers] == [200] * len(urls)
    assert "Traceback" not in err
    return " ".join(signal_id for _, signal_id, _ in answers)


def knows(request: Request, ids: str) -> bool:
    """Whether a request has the whole journey: trace, and the signal's id in baggage."""
    assert request.headers["x-own"] == "kept"
    return "traceparent" in request.headers and any(
        f"trading.signal.id={one}" in request.headers.get("baggage", "") for one in ids.split()
    )


def knows_nothing(request: Request, ids: str) -> bool:
    """Whether a request tells nothing: no header of ours, no id in any value."""
    assert request.headers["x-own"] == "kept"
    return not any(request.tells(one) for one in ids.split())


LAUNCHES = [(client, False, "always on") for client in CLIENTS]
LAUNCHES += [(client, True, "always on") for client in CLIENTS]
LAUNCHES += [(client, False, sampler) for client in CLIENTS[::2] for sampler in list(SAMPLERS)[1:]]


@pytest.mark.parametrize(("client", "imported_first", "sampler"), LAUNCHES)
def test_only_trusted_hosts_are_told(
    client: str, imported_first: bool, sampler: str, peer: Peer, tmp_path: Path
) -> None:
    """Direct and across redirects, sampled or not, whatever was imported first.

    A trusted host knows the journey, an untrusted one nothing of it, and a redirect back to a
    trusted host has it again, where a library passes it on at all.
    """
    ids = call(
        peer,
        client,
        tmp_path,
        peer.url("127.0.0.1", "/trusted"),
        peer.url("risk", "/named"),
        peer.url(EXCHANGE, "/untrusted"),
        peer.url("127.0.0.1", "/a1", (EXCHANGE, "/a2")),
        peer.url(EXCHANGE, "/b1", ("127.0.0.1", "/b2")),
        peer.url("127.0.0.1", "/c1", (EXCHANGE, "/c2"), ("risk.trading.svc", "/c3")),
        bare=imported_first,
        **SAMPLERS[sampler],
    )
    told = [r.path for r in peer.requests if knows(r, ids)]
    assert told == ["/trusted", "/named", "/a1", "/b2", "/c1", "/c3"]
    assert [r.path for r in peer.requests if knows_nothing(r, ids)] == [
        "/untrusted", "/a2", "/b1", "/c2"
    ]  # fmt: skip
    if sampler != "always on":
        flags = int(peer.at("/trusted").headers["traceparent"].rpartition("-")[2], 16)
        assert flags & 1 == 0, "the trusted service is told that the trace is sampled out"


@pytest.mark.parametrize("client", ["httpx", "requests"])
def test_settings_decide_and_never_wins(client: str, peer: Peer, tmp_path: Path) -> None:
    """TRADESPAN_PROPAGATE_TO adds hosts, TRADESPAN_PROPAGATE_NEVER takes them away."""
    ids = call(
        peer,
        client,
        tmp_path,
        peer.url("risk.partner.example.com", "/partner"),
        peer.url("api.partner.example.com", "/both"),
        peer.url("risk", "/never"),
        peer.url(EXCHANGE, "/exchange"),
        TRADESPAN_PROPAGATE_TO="*.partner.example.com, api.partner.example.com",
        TRADESPAN_PROPAGATE_NEVER="api.*,risk",
    )
    assert knows(peer.at("/partner"), ids)
    for path in ("/both", "/never", "/exchange"):
        assert knows_nothing(peer.at(path), ids), path


@pytest.mark.parametrize("client", CLIENTS)
def test_proxies(client: str, peer: Peer, tmp_path: Path) -> None:
    """Behind a trusted proxy the target decides; a stranger's proxy reads all and gets nothing."""
    urls = [peer.url("risk", "/trusted"), peer.url(EXCHANGE, "/untrusted")]
    for proxy in ("127.0.0.1", "proxy.example.com"):
        peer.requests.clear()
        address = f"http://{proxy}:{peer.port}"
        settings = {"HTTP_PROXY": address, "http_proxy": address, "NO_PROXY": ""}
        ids = call(peer, client, tmp_path / proxy, *urls, **settings)
        assert knows(peer.at("/trusted"), ids) is (proxy == "127.0.0.1")
        assert knows_nothing(peer.at("/trusted"), ids) is (proxy != "127.0.0.1")
        assert knows_nothing(peer.at("/untrusted"), ids)


@pytest.mark.parametrize("client", ["httpx", "httpx-async", "requests"])
def test_work_leaves_out_what_a_called_service_took(client: str, tmp_path: Path) -> None:
    """The called service says how long it held the journey; the caller's work is the rest."""
    port = free_port()
    with Collector() as collector:
        env = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint, "PORT": str(port)}
        env["SECONDS"] = "1.5"
        with service(["remote.py"], tmp_path / "remote", env) as remote:
            remote.until(lambda: answers(port))
            env["CALLS"] = json.dumps([f"http://127.0.0.1:{port}/assess"])
            code, _, err = run(["caller.py", client], tmp_path, env)
            assert code == 0, err
            remote.stop()
    assert collector.work("risk") >= 1.5
    assert collector.work("signal") < 1.0, "all but the 1.5 s of the called stage"
    signal = next(span for span in collector.all_spans if span.stage == "signal")
    assert signal.duration_ns >= 1_500_000_000
    assert {span.trace_id for span in collector.all_spans} == {signal.trace_id}
