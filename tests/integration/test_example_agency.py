"""The finance agency: what its services have counted is what they export, and orders are whole."""

import json
import urllib.error
from concurrent.futures import ThreadPoolExecutor

import pytest

from ..support.launched import Example
from .support.collector import NAMESPACE, Collector

ENDED = {"filled", "partial", "rejected", "cancelled", "expired"}
BY = ["service.name", "http.response.status_code"]
PROBES = ("/health", "/feed", "/stats", "/settings", "/ready")


def refusal(example: Example) -> int:
    with pytest.raises(urllib.error.HTTPError) as refused:
        example.ask("gateway/api/market/quotes/BTC-USD")  # with no token
    refused.value.close()
    return refused.value.code


@pytest.fixture(scope="module")
def seen():
    """One run: the crowd sent home, then faults at the gateway, then the end by SIGTERM."""
    own = {"OTEL_RESOURCE_ATTRIBUTES": f"service.namespace={NAMESPACE}"}
    with Collector() as seen:
        with Example("agency", OTEL_EXPORTER_OTLP_ENDPOINT=seen.endpoint, **own) as run:
            run.until(lambda: {*run.ask("trading/stats")} >= ENDED)
            run.until(lambda: run.ask("payment/stats")["cents"] >= 3e4)
            run.ask("clients/pause", {}, timeout=60)  # until everybody has left
            seen.paid = run.ask("payment/stats")
            run.ask("gateway/settings", {"error_rate": 0.5, "latency_ms": 50})
            seen.answers = sorted(ThreadPoolExecutor(10).map(refusal, [run] * 10))
            seen.exit, seen.said = run.stop(), run.said()
        yield seen


def test_what_is_counted_is_exported(seen) -> None:
    """Payments to the last cent; an order that ended was executed, or refused by risk."""
    payments = seen.total("business.payments", by=["result"])
    assert payments == {("success",): seen.paid["succeeded"], ("failure",): seen.paid["failed"]}
    sold = seen.total("business.revenue", by=["source"])
    assert 100 * (sold["subscriptions",] + sold["data",]) == seen.paid["cents"]
    refused = seen.total("trading.stage.duration", where={"stage": "risk", "outcome": "rejected"})
    assert seen.total("business.orders")[()] == seen.counted()["execution"] + refused[()]


def test_an_order_is_one_trace_from_the_customer_to_the_fill(seen) -> None:
    """Through the gateway, with no orphans, and with no probe in any trace."""
    spans, known = seen.all_spans, {span.span_id for span in seen.all_spans} | {None}
    assert not [s for s in spans if s.parent_id not in known or s.name.endswith(PROBES)]
    manual = {s.trace_id for s in spans if (s.service, s.stage) == ("clients", "signal")}
    filled = [s for s in spans if s.stage == "execution" and s.trace_id in manual]
    for fill in filled:
        trace = [s for s in spans if s.trace_id == fill.trace_id]
        assert {s.service for s in trace} >= {"gateway", "users", "trading", "market-data"}
        assert {s.signal_id for s in trace} == {fill.signal_id}
    assert len(filled) > 10


def test_faults_come_as_asked_for_and_only_then(seen) -> None:
    """Half of ten requests at once fail, by the gateway's own durations, and no other anywhere."""
    asked = seen.total("http.server.request.duration", by=BY)
    failed = {who: number for who, number in asked.items() if who[1].startswith("5")}
    assert (seen.answers, failed) == ([401] * 5 + [500] * 5, {("gateway", "500"): 5})
    assert {who for who, _ in asked} == {"gateway", "users", "payment", "trading", "market-data"}


def test_log_lines_name_the_request(seen) -> None:
    """In all five streams; one request id leads from a changed plan to a payment; a clean end."""
    assert (seen.exit, "Traceback" in seen.said) == (0, False)
    lines = [json.loads(x[x.index("{") :]) for x in seen.said.splitlines() if " | {" in x]
    assert len({x["stream"] for x in lines}) == 5
    ids = [(x["message"][-8:], x.get("request_id"), x.get("user_id")) for x in lines]
    paid = {found[1:] for found in ids if found[0] == "was made"}
    assert set() < {found[1:] for found in ids if found[0] == " pro now"} <= paid
