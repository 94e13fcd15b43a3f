"""Training: learns from closed trades and from what the desk says of them; publishes the policy.

Nobody scrapes it: its metrics leave by OTLP every OTEL_METRIC_EXPORT_INTERVAL. PORT is for /stats.
"""

import json
import logging
import os
import random
import threading
import time
from collections import Counter, deque
from typing import Any

import numpy as np
import redis
import uvicorn
from experience import Experience, Stream, experienced
from fastapi import FastAPI
from policy import FEATURES, Policy, stability

import tradespan
from tradespan.recorders import training

logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
log = logging.getLogger("training")

INTERVAL = float(os.environ.get("INTERVAL_MS", "1000")) / 1000
BUFFER, WINDOW = 500, 50  # closed trades kept, and those that count as of late
DRIFT = 50  # looks at the market: the first are the reference, the last are compared with it
REPLAY_EVERY, BATCH = 10, 16  # rounds, closed trades
PRAISE = 0.3  # reward of a kind word

app = FastAPI(title="training")
cycles: Counter[str] = Counter()
rounds = 0
policy = Policy()
choice = random.Random(3)

buffer: deque[Experience] = deque(maxlen=BUFFER)
reference: list[list[float]] = []
market: deque[list[float]] = deque(maxlen=DRIFT)
verdicts: dict[str, int] = {}


@app.get("/stats")
def get_stats() -> dict[str, Any]:
    return {"cycles": cycles, "buffer": len(buffer), "rounds": rounds}


def lived(fields: dict[str, str]) -> Experience:
    """Keep a closed trade; the log line belongs to the journey that closed it."""
    with tradespan.extract(fields):
        found = experienced(json.loads(fields["experience"]))
        log.info("%s earned %.2f bps", found.order_id, found.roi * 1e4)
    buffer.append(found)
    return found


def seen(fields: dict[str, str]) -> None:
    """Keep what the market looks like."""
    features = json.loads(fields["features"])
    market.append(features)
    if len(reference) < DRIFT:
        reference.append(features)


def judged(fields: dict[str, str]) -> None:
    """Keep what the desk said of a trade until the trade is closed."""
    if fields["order_id"]:
        verdicts[fields["order_id"]] = int(fields["verdict"])


def praised() -> list[Experience]:
    """Closed trades that were spoken of, with their rewards raised or lowered."""
    found = [one for one in buffer if one.order_id in verdicts]
    for one in found:
        one.reward += PRAISE * verdicts.pop(one.order_id)
    return found


def remembered() -> list[Experience]:
    """Closed trades to learn from once more, picked at random."""
    return choice.sample(buffer, BATCH) if len(buffer) >= BATCH else []


def learn(training_type: str, lessons: list[Experience]) -> None:
    """One cycle of training."""
    features = np.array([one.features for one in lessons])
    policy.learn(features, np.array([one.reward for one in lessons]))
    cycles[training_type] += 1
    training.cycle(training_type)


def tell() -> None:
    """How good the policy is of late, and how fast."""
    recent = list(buffer)[-WINDOW:]
    began = time.perf_counter()
    for one in recent:
        policy.chance(one.features)
    latency = (time.perf_counter() - began) / len(recent)
    training.policy(
        reward_avg=sum(one.reward for one in recent) / len(recent),
        win_rate=sum(one.roi > 0 for one in recent) / len(recent),
        rolling_roi=float(np.prod([1 + one.roi for one in recent])) - 1,
        latency_ms=latency * 1000,
    )
    training.experience_buffer(len(buffer))


def tell_drift() -> None:
    """How far the market is from what it was."""
    if len(reference) == DRIFT:
        first, last = np.array(reference), np.array(market)
        for column, feature in enumerate(FEATURES):
            training.drift(feature, stability(first[:, column], last[:, column]))


def train(store: redis.Redis) -> None:
    """Round after round, for ever."""
    global rounds
    trades, words, looks = (Stream(store, name) for name in ("experience", "feedback", "market"))
    while True:
        time.sleep(INTERVAL)
        try:
            fresh = [lived(fields) for fields in trades.read()]
            for fields in words.read():
                judged(fields)
            for fields in looks.read():
                seen(fields)
            tell_drift()
            replayed = remembered() if rounds % REPLAY_EVERY == 0 else []
            kinds = {"trades": fresh, "conversation": praised(), "replay": replayed}
            for training_type, lessons in kinds.items():
                if lessons:
                    learn(training_type, lessons)
            if fresh:
                tell()
                store.set("policy", json.dumps(policy.weights.tolist()))
            rounds += 1
        except redis.RedisError as error:
            log.warning("this round failed: %r", error)
        except Exception:
            log.exception("this round failed")


if __name__ == "__main__":
    training.open(training_types=("trades", "conversation", "replay"))
    training.declare_drift(*FEATURES)
    url = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0")
    connected = redis.Redis.from_url(url, decode_responses=True, protocol=2)
    threading.Thread(target=train, args=[connected], daemon=True).start()
    port = int(os.environ.get("PORT", "8785"))
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", timeout_graceful_shutdown=5)
