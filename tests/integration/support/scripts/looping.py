"""A script with asyncio.run: three tasks, and one thread beside them."""

import asyncio
import threading

import steps


async def task() -> None:
    while True:
        await steps.once_async()


async def main() -> None:
    threading.Thread(target=steps.for_ever, daemon=True).start()
    await asyncio.gather(task(), task(), task())


asyncio.run(main())
