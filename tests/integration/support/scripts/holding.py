"""A thread whose stage is open for a while; what follows the stage goes into the ledger."""

import threading
import time

import ledger

import tradespan


def work() -> None:
    with tradespan.signal(symbol="BTC-USD") as signal:
        print("open", flush=True)
        time.sleep(0.5)
    ledger.ended(signal.signal_id, "signal")


threading.Thread(target=work, daemon=True).start()
time.sleep(60)
