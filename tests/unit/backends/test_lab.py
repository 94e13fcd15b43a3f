"""The real backends' answers, as recorded from them, and what is said when they fail.

tests/lab asks the real programs; here are the cases that need one to misbehave.
"""

import json
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tradespan.backends import jaeger, loki, prometheus
from tradespan.backends.lab import LabBackend
from tradespan.backends.protocol import BackendError

RECORDED = Path(__file__).parent / "recorded"


def recorded(name):
    """An answer of the real program."""
    return json.loads((RECORDED / name).read_text())


class Player:
    """An HTTP server that answers each path with what a test put there, and keeps the requests."""

    def __init__(self):
        self.answers = {}
        self.requests = []
        player = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                url = urllib.parse.urlsplit(self.path)
                query = dict(urllib.parse.parse_qsl(url.query))
                player.requests.append((url.path, query))
                answer = player.answers.get(url.path, (404, "404 page not found"))
                status, body = answer(query) if callable(answer) else answer
                raw = body.encode() if isinstance(body, str) else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(
            target=self.server.serve_forever, kwargs={"poll_interval": 0.01}
        )


@pytest.fixture
def player():
    """A server for recorded answers."""
    player = Player()
    player.thread.start()
    yield player
    player.server.shutdown()
    player.thread.join()
    player.server.server_close()


@pytest.fixture
def backend(player):
    """A lab whose three backends are the player."""
    address = player.address
    return LabBackend(prometheus=address, jaeger=address, loki=address)


def test_spans_of_a_recorded_trace(player, backend):
    """Ids, parents, kind, microseconds as nanoseconds, attributes with their types, resource."""
    player.answers["/api/services"] = (200, {"data": ["risk", "orchestrator"]})
    player.answers["/api/traces"] = (200, recorded("jaeger-traces.json"))
    spans = {span.name: span for span in backend.spans("ns-1")}
    assert len(backend.spans("ns-1")) == 9
    signal, orchestration = spans["signal"], spans["orchestration"]
    assert signal.parent_id is None
    assert (orchestration.parent_id, orchestration.trace_id) == (signal.span_id, signal.trace_id)
    assert orchestration.kind == "consumer"
    assert orchestration.service == "orchestrator"
    assert orchestration.duration_ns == 399_000_000
    assert orchestration.attributes["trading.wait"] == 0.005
    assert spans["execution"].attributes["trading.journey.end"] is True
    assert signal.resource["service.namespace"] == "ns-1"
    assert backend.spans("other") == []
    assert len(backend.journey(signal.signal_id)) == 9


def test_every_service_is_asked_for_its_traces_of_the_run(player, backend):
    """A service is required, tags are a JSON object of strings, times are microseconds."""
    player.answers["/api/services"] = (200, {"data": ["risk", "orchestrator"]})
    player.answers["/api/traces"] = (200, {"data": None})
    assert backend.spans("ns-1") == []
    asked = [query for path, query in player.requests if path == "/api/traces"]
    assert [query["service"] for query in asked] == ["orchestrator", "risk"]
    assert json.loads(asked[0]["tags"]) == {"service.namespace": "ns-1"}
    assert len(asked[0]["start"]) == len(asked[0]["end"]) == 16


def test_more_traces_than_one_answer_may_hold(player, backend, monkeypatch):
    """A full answer is asked for again in halves of its window, until none is full."""
    monkeypatch.setattr(jaeger, "PAGE", 4)
    (trace,) = recorded("jaeger-traces.json")["data"]
    times = [1_000 * number for number in range(30)]

    def answer(query):
        start, end = int(query["start"]), int(query["end"])
        found = [at for at in times if start <= base + at <= end][: int(query["limit"])]
        return 200, {"data": [renamed(at) for at in found]}

    def renamed(at):
        spans = [{**span, "traceID": f"{at + 1:032x}"} for span in trace["spans"]]
        return {**trace, "spans": spans}

    base = backend._bounds()[1] // 1000 - 120_000_000
    player.answers["/api/services"] = (200, {"data": ["risk"]})
    player.answers["/api/traces"] = answer
    assert len({span.trace_id for span in backend.spans("ns-1")}) == 30


def test_lines_of_a_recorded_answer(player, backend):
    """Time, body, service, ids; attributes of the registry have their dots again."""
    player.answers["/loki/api/v1/query_range"] = (200, recorded("loki-query_range.json"))
    lines = backend.logs("ns-1")
    assert len(lines) == 3
    assert {line.service for line in lines} <= {"signal-generator", "orchestrator"}
    assert lines[0].body.endswith("did its part")
    assert lines[0].signal_id == "0f8c2d5e7a914b00"
    assert len(lines[0].trace_id) == 32
    assert player.requests[0][1]["query"] == '{service_namespace="ns-1"}'


def test_more_lines_than_one_answer_may_hold(player, backend, monkeypatch):
    """Pages overlap at their last instant, so that none is lost; too many at once is an error."""
    monkeypatch.setattr(loki, "PAGE", 4)
    times = [10**18 * 3 + number // 3 for number in range(20)]

    def answer(query):
        found = [
            [str(at), f"line {number}"]
            for number, at in enumerate(times)
            if int(query["start"]) <= at
        ][: int(query["limit"])]
        return 200, {"data": {"result": [{"stream": {"service_name": "x"}, "values": found}]}}

    player.answers["/loki/api/v1/query_range"] = answer
    assert len(backend.logs("n")) == 20
    times[:] = [10**18 * 3] * 20
    with pytest.raises(BackendError, match="more than 4 lines of one instant"):
        backend.logs("n")


def test_totals_of_a_recorded_answer(player, backend):
    """Values by the labels asked for; a label that a series lacks is empty."""
    player.answers["/api/v1/query"] = (200, recorded("prometheus-query.json"))
    found = backend.total("trading.pipeline.duration", by=("outcome",))
    assert found == {("ok",): 8, ("skipped",): 3}
    without = backend.total("trading.pipeline.duration", by=("outcome", "no"))
    assert without == {("ok", ""): 8, ("skipped", ""): 3}


def test_the_query_names_the_series_as_prometheus_does():
    """Dots, units and suffixes; the window keeps processes that have ended."""
    where = {"service.namespace": 'a"b', "stage": "risk"}
    assert prometheus.total_query("trading.stage.duration", ("outcome",), where, 60) == (
        "sum by (outcome) (last_over_time(trading_stage_duration_seconds_count"
        '{service_namespace="a\\"b",stage="risk"}[60s]))'
    )
    assert prometheus.series("trading.journey.begun") == "trading_journey_begun_total"
    assert prometheus.series("risk_scores") == "risk_scores_count"
    assert prometheus.series("trading.stage.active") == "trading_stage_active"


@pytest.mark.parametrize("metric", ["no.such.metric", "trading.stage.budget"])
def test_a_metric_that_does_not_count_is_refused(backend, metric):
    """A gauge has no total, and of an unknown metric the unit is not known."""
    with pytest.raises(BackendError, match="not a counter or histogram of the registry"):
        backend.total(metric)


def test_a_backend_that_does_not_answer(player):
    """What, where and what to do."""
    backend = LabBackend(prometheus="http://127.0.0.1:1", jaeger="", loki="")
    with pytest.raises(BackendError, match="Prometheus does not answer") as failure:
        backend.total("trading.pipeline.duration")
    assert failure.value.where == "http://127.0.0.1:1/api/v1/query"
    assert "tradespan lab" in failure.value.hint


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ((400, '{"error":"parse error"}'), "answered 400: .*parse error"),
        ((200, "<html>a proxy</html>"), "not JSON"),
        ((200, {"status": "success"}), "not what was asked for"),
    ],
)
def test_an_answer_that_is_none(player, backend, answer, says):
    """An error keeps the program's own words; a page or another shape is told as such."""
    player.answers["/api/v1/query"] = answer
    player.answers["/api/services"] = answer
    player.answers["/loki/api/v1/query_range"] = answer
    with pytest.raises(BackendError, match=f"Prometheus .*{says}"):
        backend.total("trading.pipeline.duration")
    with pytest.raises(BackendError, match=f"Jaeger .*{says}"):
        backend.spans("n")
    with pytest.raises(BackendError, match=f"Loki .*{says}"):
        backend.logs("n")


def test_a_loopback_backend_is_asked_past_any_proxy(player, backend, monkeypatch):
    """A proxy of the environment is for the outside."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    player.answers["/api/v1/query"] = (200, recorded("prometheus-query.json"))
    assert len(backend.total("trading.pipeline.duration", by=("outcome",))) == 2
