"""A WSGI application with a stage in each request."""

from collections.abc import Callable, Iterable
from typing import Any

import ledger
import steps

import tradespan


def app(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
    with tradespan.risk() as risk:
        steps.log.info("risk of %s", risk.signal_id)
        risk.approve(score=0.2, level="low")
    ledger.ended(risk.signal_id, "risk")
    start("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "3")])
    return [b"ok\n"]
