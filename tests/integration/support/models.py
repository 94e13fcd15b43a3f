"""A fake of OpenAI, Anthropic and Ollama on loopback: real answer shapes, fixed usage."""

from __future__ import annotations

import itertools
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

_numbers = itertools.count(1)


def openai(model: str) -> dict[str, Any]:
    """A chat completion: 1000 tokens in, 200 of them cached, 100 out."""
    return {
        "id": f"chatcmpl-{next(_numbers):020d}",
        "object": "chat.completion",
        "created": 1,
        "model": model,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "APPROVE"},
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 1000,
            "completion_tokens": 100,
            "total_tokens": 1100,
            "prompt_tokens_details": {"cached_tokens": 200},
        },
    }


def anthropic(model: str) -> dict[str, Any]:
    """A message: 1000 tokens in, 200 read from a cache and 100 written to it, 100 out."""
    return {
        "id": f"msg_{next(_numbers):020d}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [{"type": "text", "text": "APPROVE"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 700,
            "cache_read_input_tokens": 200,
            "cache_creation_input_tokens": 100,
            "output_tokens": 100,
        },
    }


def ollama(model: str) -> dict[str, Any]:
    """A generation: 120 tokens in, 18 out, two seconds of work."""
    return {
        "model": model,
        "created_at": f"2026-11-21T09:00:00.{next(_numbers):09d}Z",
        "response": "APPROVE",
        "done": True,
        "total_duration": 9_000_000_000,
        "prompt_eval_count": 120,
        "prompt_eval_duration": 500_000_000,
        "eval_count": 18,
        "eval_duration": 1_500_000_000,
    }


class Models:
    """Serves them; `port` while it does."""

    def __init__(self) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                model = json.loads(self.rfile.read(int(self.headers["content-length"])))["model"]
                shapes = {"/v1/messages": anthropic, "/api/generate": ollama}
                body = json.dumps(shapes.get(self.path, openai)(model)).encode()
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                """Nothing is printed."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
