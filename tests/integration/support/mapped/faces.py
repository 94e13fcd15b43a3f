"""Prints what can be seen of the functions in desk.py, and what they return."""

from __future__ import annotations

import asyncio
import copy
import inspect
import pickle
import pydoc

import desk

NAMES = ["plain", "coroutine", "generator", "async_generator", "chained"]


def chain(function: object) -> list[str]:
    """What functools.wraps left, from the outside in, without what stands around it."""
    found = []
    while function is not None:
        code = getattr(function, "__code__", None)
        if code is not None and code.co_filename == desk.__file__:
            found.append(code.co_qualname)
        function = getattr(function, "__wrapped__", None)
    return found


async def drain() -> list[int]:
    return [n async for n in desk.async_generator(3)]


for owner, names in ((desk, NAMES), (desk.Order, ["check", "fee", "of"])):
    for name in names:
        function = getattr(owner, name)
        print(
            name,
            inspect.signature(function),
            function.__doc__,
            function.__module__,
            function.__qualname__,
            inspect.iscoroutinefunction(function),
            inspect.isgeneratorfunction(function),
            inspect.isasyncgenfunction(function),
            inspect.isfunction(function),
            inspect.ismethod(function),
            type(inspect.getattr_static(owner, name)).__name__,
            function.__annotations__ if not inspect.ismethod(function) else "",
            pydoc.render_doc(function, renderer=pydoc.plaintext).splitlines()[0],
            chain(function),
        )
print(desk.chained.seen_by)
order = pickle.loads(pickle.dumps(desk.Order("BTC-USD", 2.0)))
same = pickle.loads(pickle.dumps(desk.Order))
print(same is desk.Order, order.symbol, copy.deepcopy(order).size, type(order) is desk.Order)
print(pickle.loads(pickle.dumps(desk.plain)) is desk.plain)
print(order.check(1.0), order.check(limit=5, strict=False), desk.Order.fee(2), order.fee(4))
print(desk.Order.of("ETH-USD").symbol, order.of("A").symbol)
print(desk.plain("A"), desk.plain("A", 2, 3, 4, venue="y", z=1))
print(asyncio.run(desk.coroutine("A")), list(desk.generator(3)), asyncio.run(drain()))
print(desk.chained("A"))
try:
    desk.plain()
except TypeError as error:
    print(str(error).partition("()")[2])
