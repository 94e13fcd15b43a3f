"""A flat script: no main function, a daemon thread, an event loop, then a loop of its own."""

import asyncio
import threading
import time
from dataclasses import dataclass, field

ENDED = threading.Event()


@dataclass
class Candle:
    symbol: str
    around: list = field(default_factory=list)


class Bot:
    def decide(self, candle):
        return "BUY" if len(candle.around) % 2 else "HOLD"


def watch():
    while True:
        beat("thread")
        if ENDED.wait(0.01):
            return


def beat(who):
    return who


threading.Thread(target=watch, daemon=True).start()


async def settle(number):
    await asyncio.sleep(0)
    return number


async def settle_all():
    return await asyncio.gather(*(settle(n) for n in range(5)))


print("settled", asyncio.run(settle_all()))
candle = Candle("BTC-USD")
candle.around.append(candle)
bot = Bot()


def evaluate(candle, number):
    return {"number": number, "action": bot.decide(candle), "candle": candle}


number = 0
while True:
    number += 1
    evaluate(candle, number)
    if number == 20:
        break

time.sleep(0.05)
ENDED.set()
print("evaluated", number)
