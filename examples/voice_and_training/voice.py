"""Voice assistant: wakes at its word, understands what is said, has the order placed, answers.

An exporter: /metrics and /health stand on PORT. The audio is simulated, see stubs/microphone.py.
"""

import itertools
import logging
import os
import signal
import socket
import threading
from typing import Any

import httpx
import redis
from grammar import understood
from stubs.microphone import Clip, clips

import tradespan
from tradespan.export import endpoints
from tradespan.recorders import voice

logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
logging.getLogger("httpx").setLevel(logging.WARNING)
log = logging.getLogger("voice")

SPEECH_URL = os.environ.get("SPEECH_URL", "http://127.0.0.1:8070")
TRADING_URL = os.environ.get("TRADING_URL", "http://127.0.0.1:8775")
INTERVAL = float(os.environ.get("INTERVAL_MS", "1000")) / 1000
CLIPS = int(os.environ.get("CLIPS", "0")) or None  # then silence; endless without it

SYMBOL, WAKE_WORD = "BTC-USD", b"hey desk"

peers = httpx.Client(timeout=10.0)
feedback = redis.Redis.from_url(
    os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0"), decode_responses=True, protocol=2
)
last_order = ""


class NotUnderstoodError(Exception):
    """What was said makes no sense here."""


def ask(method: str, url: str, **content: Any) -> dict[str, Any]:
    answer = peers.request(method, url, **content)
    found: dict[str, Any] = answer.raise_for_status().json()
    return found


def place(order: dict[str, Any], number: int) -> str:
    """Have the order placed; what the assistant says then. An echo of the same clip is known."""
    global last_order
    order["order_id"] = f"voice-{number}"
    answer = ask("POST", f"{TRADING_URL}/orders", json=order)
    if answer["status"] != "filled":
        return f"no {order['side']} order: {answer['reason']}"
    voice.conversion()
    last_order = order["order_id"]
    return f"{order['side']} order filled at {answer['price']:.2f}"


def hear(clip: Clip) -> str:
    """Understand one clip and do what it says; the answer. Raises if it makes no sense."""
    with tradespan.signal(symbol=SYMBOL, signal_type="voice") as s:
        heard = ask("POST", f"{SPEECH_URL}/v1/transcribe", content=clip.audio)
        request = understood(heard["text"])
        s.confidence(heard["confidence"])
        if request is None:
            s.reject("not understood")
        elif request.order is None:
            s.skip("no order")
        else:
            return place({"symbol": SYMBOL, **request.order}, clip.number)
    if request is None:
        raise NotUnderstoodError(heard["text"])
    if request.verdict:
        verdict = str(request.verdict)
        feedback.xadd("feedback", {"order_id": last_order, "verdict": verdict}, maxlen=1000)
        return "I shall remember"
    return f"our return of late is {ask('GET', f'{TRADING_URL}/return')['roi']:.2%}"


def listen(stop: threading.Event) -> None:
    """Hear clip after clip until told to stop."""
    for clip in itertools.islice(clips(), CLIPS):
        if stop.wait(INTERVAL):
            return
        if not clip.audio.startswith(WAKE_WORD):
            continue
        voice.wake_word()
        try:
            with voice.request():
                answer = hear(clip)
            log.info("answered: %s", answer)
        except NotUnderstoodError as error:
            log.info("not understood: %s", error)
        except (httpx.HTTPError, redis.RedisError) as error:
            log.warning("no answer: %r", error)
    log.info("nobody speaks any more")
    stop.wait()


def wait_for(url: str, stop: threading.Event) -> None:
    """Wait until a peer takes connections; nobody is asked to speak to a desk that still opens."""
    peer = httpx.URL(url)
    while not stop.is_set():
        try:
            socket.create_connection((peer.host, peer.port or 80), timeout=1.0).close()
        except OSError:
            stop.wait(0.1)
        else:
            return


if __name__ == "__main__":
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    voice.open()
    endpoints.start(port=int(os.environ.get("PORT", "8765")))
    wait_for(TRADING_URL, stopped)
    listen(stopped)
