"""A service that does one signal, and tells on stdout (JSON) what was changed around it."""

import json
import logging
import os
import random
import signal
import socket
import threading

import fastapi
import httpx
import requests
from opentelemetry import metrics, propagate, trace
from opentelemetry._logs import get_logger_provider

import tradespan

if os.environ.get("CONFIGURE"):
    try:
        tradespan.configure(**json.loads(os.environ["CONFIGURE"]))
    except tradespan.ConfigError as error:
        print(json.dumps({"key": error.key, "value": error.value, "hint": error.hint}))
        raise SystemExit(4) from None

random.seed(42)
with tradespan.signal(symbol="BTC-USD", signal_type="momentum") as s:
    with tradespan.stage("hedging"):
        trace_id = trace.get_current_span().get_span_context().trace_id
    logging.getLogger("desk").info("hedged")

facts = {
    "trace": f"{trace_id:032x}",
    "threads": sorted(t.name for t in threading.enumerate()),
    "providers": [
        type(one).__name__
        for one in (
            trace.get_tracer_provider(),
            metrics.get_meter_provider(),
            get_logger_provider(),
        )
    ],
    "propagator": type(propagate.get_global_textmap()).__name__,
    "wrapped": sorted(
        name
        for name, function in {
            "isEnabledFor": logging.Logger.isEnabledFor,
            "callHandlers": logging.Logger.callHandlers,
            "signal": signal.signal,
            "getsignal": signal.getsignal,
            "httpx": httpx.HTTPTransport.handle_request,
            "requests": requests.Session.send,
            "adapter": requests.adapters.HTTPAdapter.send,
            "fastapi": fastapi.FastAPI,
            "getaddrinfo": socket.getaddrinfo,
        }.items()
        if hasattr(function, "__wrapped__")
        or getattr(function, "__module__", "").startswith(("tradespan", "opentelemetry"))
    ),
    "sigterm": str(signal.getsignal(signal.SIGTERM)),
    "handlers": str(logging.getLogger().handlers),
    "journey": s.signal_id,
}
print(json.dumps(facts))
