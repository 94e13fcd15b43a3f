"""`python -m tradespan.compat [--port 8001] [--seconds N]`: the demo, with /metrics and /health."""

from __future__ import annotations

import argparse
import contextlib
import logging
import time

from tradespan.compat import start_monitoring_server
from tradespan.compat.demo import desk
from tradespan.settings import ConfigError

log = logging.getLogger("tradespan")


def main(arguments: list[str] | None = None) -> int:
    """Serve the demo until Ctrl-C, or for so many seconds."""
    parser = argparse.ArgumentParser(prog="python -m tradespan.compat", description=__doc__)
    parser.add_argument("--port", type=int, default=8001, help="of /metrics and /health")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="end after these")
    chosen = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        address = start_monitoring_server(chosen.port)
    except ConfigError as error:
        parser.error(str(error))
    if address is None:
        return 1
    logging.getLogger("tradespan.trades").setLevel(logging.WARNING)
    log.info("http://%s:%s/metrics shows the demo; Ctrl-C ends it", address.host, address.port)
    end = time.monotonic() + chosen.seconds
    with contextlib.suppress(KeyboardInterrupt):
        for _ in desk():
            if time.monotonic() >= end:
                break
            time.sleep(0.1)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
