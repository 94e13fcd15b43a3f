"""Calls to named hosts: real servers of loopback, asked by each client."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import httpx
import pytest
import requests
import urllib3
from opentelemetry import context
from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY

from tradespan.mapping import hosts
from tradespan.mapping.load import load
from tradespan.mapping.service import apply
from tradespan.recorders.usage import read

OLLAMA = {"model": "llama3.2:3b", "prompt_eval_count": 11, "eval_count": 5, "response": "{}"}
OPENAI = {"model": "gpt-5", "usage": {"prompt_tokens": 11, "completion_tokens": 5}}
ANTHROPIC = {"model": "claude", "usage": {"input_tokens": 11, "output_tokens": 5}, "content": []}
BODIES = {
    "/ollama": OLLAMA,
    "/lines": OLLAMA,
    "/openai": OPENAI,
    "/anthropic": ANTHROPIC,
    "/list": [1, 2],
}


class Handler(BaseHTTPRequestHandler):
    """Answers as a model server does, as text, or with an error."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("location", "/ollama")
            self.send_header("content-length", "0")
            self.end_headers()
            return
        body = json.dumps(BODIES.get(self.path, {"error": "no"})).encode()
        text = self.path == "/text"
        kind = "text/plain" if text else "application/json; charset=utf-8"
        if self.path == "/lines":
            body = b'{"model": "llama3.2:3b", "response": "{", "done": false}\n' + body + b"\n"
            kind = "application/x-ndjson"
        self.send_response(200 if self.path in BODIES or text else 500)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """HOST:PORT of a model server."""
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=httpd.serve_forever)
    thread.start()
    yield f"127.0.0.1:{httpd.server_port}"
    httpd.shutdown()
    thread.join()
    httpd.server_close()


def by_httpx(url: str) -> int:
    with httpx.Client(follow_redirects=True) as client:
        return client.post(url, json={}).status_code


def by_httpx_async(url: str) -> int:
    async def post() -> int:
        async with httpx.AsyncClient(follow_redirects=True) as client:
            return (await client.post(url, json={})).status_code

    return asyncio.run(post())


def by_httpx_stream(url: str) -> int:
    with httpx.Client() as client, client.stream("POST", url, json={}) as answer:
        assert answer.read()
        return answer.status_code


def by_requests(url: str) -> int:
    return requests.post(url, json={}, timeout=5).status_code


def by_requests_stream(url: str) -> int:
    with requests.post(url, json={}, timeout=5, stream=True) as answer:
        assert list(answer.iter_lines())
        return answer.status_code


def by_aiohttp(url: str) -> int:
    async def post() -> int:
        async with aiohttp.ClientSession() as client, client.post(url, json={}) as answer:
            assert await answer.read() == await answer.read()
            return answer.status

    return asyncio.run(post())


def by_aiohttp_of_a_base(url: str) -> int:
    async def post() -> int:
        base, _, path = url.rpartition("/")
        async with aiohttp.ClientSession(base) as client:
            answer = await client.request("POST", f"/{path}", json={})
            if answer.ok and answer.content_type == "application/json":
                assert await answer.json()
            else:
                assert await answer.text()
            return answer.status

    return asyncio.run(post())


def by_aiohttp_stream(url: str) -> int:
    async def post() -> int:
        async with aiohttp.ClientSession() as client, client.post(url, json={}) as answer:
            assert [chunk async for chunk in answer.content.iter_any()]
            return answer.status

    return asyncio.run(post())


def by_urllib3(url: str) -> int:
    with urllib3.PoolManager(retries=urllib3.Retry(1)) as pools:
        return pools.request("POST", url, body=b"{}").status


def by_urllib3_pool(url: str) -> int:
    with urllib3.connection_from_url(url, retries=False) as pool:
        return pool.urlopen("POST", urlsplit(url).path, body=b"{}", redirect=True).status


def by_urllib(url: str) -> int:
    try:
        with urllib.request.urlopen(url, b"{}", timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


UNREAD = [by_urllib3, by_urllib3_pool, by_urllib]
WHOLE = [by_httpx, by_httpx_async, by_requests, by_aiohttp, by_aiohttp_of_a_base]
STREAMED = [by_httpx_stream, by_requests_stream, by_aiohttp_stream]
LLM = """
    stages: {{validation: {{run: "mod:ask"}}}}
    calls: {{llm: {{hosts: ["{0}"]}}}}
    """
ASK = "def ask(post, *urls): return [post(url) for url in urls]\n"


@pytest.mark.parametrize("post", WHOLE)
@pytest.mark.parametrize("path", ["/ollama", "/lines", "/openai", "/anthropic"])
def test_latency_model_and_tokens(
    svc: Any, telemetry: Any, server: str, post: Any, path: str
) -> None:
    """Of each answer shape, by each client: the call is timed, the stage has its tokens."""
    module = svc.map(LLM.format(server), ASK)
    assert module.ask(post, f"http://{server}{path}", f"http://{server}{path}") == [200, 200]
    assert telemetry.total("ollama_api_latency") == 2
    got = telemetry.span("validation").attributes
    assert got["gen_ai.request.model"] == BODIES[path]["model"]  # type: ignore[call-overload,index]
    assert got["gen_ai.usage.input_tokens"] == 22
    assert got["gen_ai.usage.output_tokens"] == 10


@pytest.mark.parametrize("post", STREAMED)
def test_a_streamed_answer_is_left_to_its_reader(
    svc: Any, telemetry: Any, server: str, post: Any
) -> None:
    """Its latency counts; nothing of it is read here."""
    module = svc.map(LLM.format(server), ASK)
    assert module.ask(post, f"http://{server}/ollama") == [200]
    assert telemetry.total("ollama_api_latency") == 1


@pytest.mark.parametrize("post", WHOLE)
@pytest.mark.parametrize("path", ["/text", "/list", "/fails"])
def test_other_answers(svc: Any, telemetry: Any, server: str, post: Any, path: str) -> None:
    """Text, a list, an error: timed, and no tokens."""
    module = svc.map(LLM.format(server), ASK)
    assert module.ask(post, f"http://{server}{path}") == [500 if path == "/fails" else 200]
    assert telemetry.total("ollama_api_latency") == 1
    assert "gen_ai.usage.input_tokens" not in telemetry.span("validation").attributes


@pytest.mark.parametrize("post", UNREAD)
@pytest.mark.parametrize("path", ["/ollama", "/fails"])
def test_clients_of_which_nothing_is_read(
    svc: Any, telemetry: Any, server: str, post: Any, path: str
) -> None:
    """Their calls are timed; what the answer says of tokens stays unread."""
    module = svc.map(LLM.format(server), ASK)
    assert module.ask(post, f"http://{server}{path}") == [500 if path == "/fails" else 200]
    assert telemetry.total("ollama_api_latency") == 1
    assert "gen_ai.usage.input_tokens" not in telemetry.span("validation").attributes


@pytest.mark.parametrize("post", [*WHOLE[:-1], by_urllib3, by_urllib])
def test_a_redirect_is_part_of_the_call(svc: Any, telemetry: Any, server: str, post: Any) -> None:
    """What the service asked for once is counted once, and the next call again."""
    module = svc.map(LLM.format(server), ASK)
    assert module.ask(post, f"http://{server}/moved", f"http://{server}/ollama") == [200, 200]
    assert telemetry.total("ollama_api_latency") == 2


def test_what_a_call_has_begun_and_outlives_it_is_a_call(
    svc: Any, telemetry: Any, server: str
) -> None:
    """A task that a client's hook starts inherits the call's context, and goes on after it."""
    module = svc.map(LLM.format(server), ASK)

    async def main() -> list[int]:
        begun: list[asyncio.Task[httpx.Response]] = []
        first = asyncio.Event()

        async def again() -> httpx.Response:
            await first.wait()
            async with httpx.AsyncClient() as other:
                return await other.get(f"http://{server}/ollama")

        async def begin(_: httpx.Response) -> None:
            begun.append(asyncio.create_task(again()))

        async with httpx.AsyncClient(event_hooks={"response": [begin]}) as client:
            answer = await client.get(f"http://{server}/ollama")
        first.set()
        return [answer.status_code, (await begun[0]).status_code]

    assert module.ask(lambda _: asyncio.run(main()), "") == [[200, 200]]
    assert telemetry.total("ollama_api_latency") == 2


def test_a_host_waits_for_a_client(svc: Any, monkeypatch: Any) -> None:
    """It is wrapped when one is imported that is timed; before, the summary says what lacks."""
    monkeypatch.setattr(hosts, "_CLIENTS", {svc.name: hosts._HTTPX})
    estate = "version: 1\nservices: {svc: {calls: {exchange: {hosts: [api.example.com]}}}}\n"
    path = svc._folder / "tradespan.yaml"
    path.write_text(estate)
    svc.record = apply(load(path, {}), "svc", path.parent)
    assert svc.why("api.example.com") == "waiting: no client that is timed is imported yet"
    svc.load(
        """
        class Client:
            def send(self, request): ...
        class AsyncClient:
            async def send(self, request): ...
        """
    )
    assert svc.why("api.example.com") == "wrapped: "


@pytest.mark.parametrize("post", [by_httpx, by_httpx_async, by_requests, by_aiohttp, *UNREAD])
def test_a_refused_connection_is_a_call_too(svc: Any, telemetry: Any, post: Any) -> None:
    """It is timed, and its exception is the service's."""
    with socket.socket() as silent:  # bound, so that nobody else has the port; it never listens
        silent.bind(("127.0.0.1", 0))
        refusing = f"127.0.0.1:{silent.getsockname()[1]}"
        module = svc.map(LLM.format(refusing), ASK)
        with pytest.raises(
            (httpx.ConnectError, OSError, aiohttp.ClientError, urllib3.exceptions.HTTPError)
        ):
            module.ask(post, f"http://{refusing}/")
    assert telemetry.total("ollama_api_latency") == 1


@pytest.mark.parametrize(
    ("host", "counted"),
    [
        ("{0}", 1),
        ("http://{0}/api", 1),
        ("http://user:secret@{0}", 1),
        ("127.0.0.1", 1),
        ("127.0.0.*", 1),
        ("127.0.0.1:*", 1),
        ("127.0.0.1:1", 0),
        ("localhost", 0),
        ("api.*", 0),
    ],
)
def test_which_calls_are_meant(
    svc: Any, telemetry: Any, server: str, host: str, counted: int
) -> None:
    """A host, a host with its port, a URL or a pattern; all other calls are nobody's."""
    module = svc.map(f"calls: {{exchange: {{hosts: ['{host.format(server)}']}}}}", ASK)
    module.ask(by_requests, f"http://{server}/ollama")
    assert telemetry.total("coinbase_api_response_time") == counted
    assert svc.record.entries[0].fired == counted


def test_telemetry_on_its_way_out_is_no_call(svc: Any, telemetry: Any, server: str) -> None:
    """What exporters send to a Collector on a mapped host is not counted."""
    svc.map(LLM.format("127.0.0.1"), ASK)
    token = context.attach(context.set_value(_SUPPRESS_INSTRUMENTATION_KEY, True))
    by_requests(f"http://{server}/ollama")
    context.detach(token)
    assert telemetry.total("ollama_api_latency") == 0


@pytest.mark.parametrize("body", [None, [], "text", {"usage": None}, {"usage": [1]}, {}])
def test_answers_without_usage(body: Any) -> None:
    """They tell nothing, and nothing fails."""
    assert read(body) is None
