"""One signal with its stages, noted in the ledger as each one ends."""

from __future__ import annotations

import asyncio
import logging
import time

import ledger

import tradespan

log = logging.getLogger("steps")


def once(kind: str = "signal") -> None:
    """One signal: a stage nested in it, a log record in each."""
    with tradespan.signal(symbol="BTC-USD", signal_type=kind) as signal:
        time.sleep(0.001)
        with tradespan.stage("hedging"):
            log.info("hedging of %s", signal.signal_id)
            time.sleep(0.001)
        ledger.ended(signal.signal_id, "hedging")
        log.info("signal of %s", signal.signal_id)
    ledger.ended(signal.signal_id, "signal")


async def once_async() -> None:
    """The same, in a task."""
    async with tradespan.signal(symbol="ETH-USD") as signal:
        await asyncio.sleep(0.001)
        async with tradespan.stage("hedging"):
            log.info("hedging of %s", signal.signal_id)
            await asyncio.sleep(0.001)
        ledger.ended(signal.signal_id, "hedging")
        log.info("signal of %s", signal.signal_id)
    ledger.ended(signal.signal_id, "signal")


def for_ever(kind: str = "signal") -> None:
    """One after the other."""
    while True:
        once(kind)
