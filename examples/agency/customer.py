"""A customer: does through the gateway what people do, and do wrong."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import httpx
import second_factor
import service

import tradespan

SEED = int(os.environ.get("SEED", "7"))
CARDS = ("4242424242424242",) * 5 + ("4000000000000002", "4000000000009995")
MARKET = {"BTC-USD": 94_000.0, "ETH-USD": 3200.0, "SOL-USD": 185.0}  # about what each costs

log = logging.getLogger("clients")

stats = service.Counts()
open_door, closing = asyncio.Event(), asyncio.Event()
visiting: set[int] = set()


class Leaving(Exception):  # noqa: N818 - no error
    """Everybody goes home."""


async def moment() -> None:
    """A moment's thought. Raises Leaving where there is no time for it any more."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(closing.wait(), service.INTERVAL)
        raise Leaving


@dataclass
class Account:
    """What a customer remembers."""

    email: str
    password: str
    secret: str = ""
    token: str = ""


class Customer:
    """One place in the crowd: one customer after the other comes and goes.

    Arguments:
        number: of the place; its seed.
        http: the app that everybody uses.
    """

    def __init__(self, number: int, http: httpx.AsyncClient) -> None:
        self._number, self._http = number, http
        self._rng = random.Random(f"{SEED}-{number}")
        self._accounts: list[Account] = []

    async def live(self) -> None:
        with contextlib.suppress(Leaving):
            while True:
                await open_door.wait()
                visiting.add(self._number)
                try:
                    await self.visit()
                except httpx.HTTPError as error:
                    log.warning("the gateway does not answer: %r", error)
                finally:
                    visiting.discard(self._number)
                await moment()

    async def visit(self) -> None:
        account = await self.somebody()
        if account.token and self._chance(0.5):
            await self.ask(account, "GET", "market/quotes/BTC-USD")  # with the token of last time
        account.token = ""
        if not await self.sign_in(account):
            return
        ways: list[Callable[[Account], Coroutine[Any, Any, None]]] = [
            self.look, self.look, self.trade, self.trade, self.wait, self.wait, self.rebalance,
            self.read_signals, self.pay, self.pay, self.hurry,
        ]  # fmt: skip
        for way in self._rng.sample(ways, self._rng.randint(3, 7)):
            await way(account)
        if self._chance(0.75):
            await self.ask(account, "POST", "users/sign-outs", {"token": account.token})
        stats.add("visits")

    async def somebody(self) -> Account:
        """Somebody who was here before, or somebody new."""
        if self._accounts and self._chance(0.6):
            return self._rng.choice(self._accounts)
        email = f"customer-{self._number}-{len(self._accounts)}@example.com"
        account = Account(email, f"{self._rng.getrandbits(64):016x}")
        body = {"email": email, "password": account.password, "second_factor": self._chance(0.5)}
        answer = await self.ask(account, "POST", "users/accounts", body)
        if answer.is_success:
            account.secret = answer.json()["secret"]
            self._accounts.append(account)
            stats.add("registered")
        return account

    async def sign_in(self, account: Account) -> bool:
        """Sign in, at last; False where the customer gives up."""
        wrong = self._rng.choices([0, 1, 4], [0.7, 0.2, 0.1])[0]  # tries that go wrong
        for attempt in range(wrong + 1):
            good = attempt == wrong
            mistypes_code = bool(account.secret) and self._chance(0.5)
            password = account.password if good or mistypes_code else "correct horse"
            code = second_factor.code(account.secret) if account.secret else ""
            body = {"email": account.email, "password": password, "code": code}
            if not good and mistypes_code:
                body["code"] = "none"
            answer = await self.ask(account, "POST", "users/sign-ins", body)
            if answer.is_success:
                account.token = answer.json()["token"]
                return True
        return False

    async def look(self, account: Account) -> None:
        symbol = self._rng.choice(list(MARKET))
        await self.ask(account, "GET", f"market/quotes/{symbol}")
        if self._chance(0.3):
            await self.ask(account, "GET", f"market/history/{symbol}?bars=60")

    async def read_signals(self, account: Account) -> None:
        await self.ask(account, "GET", "trading/signals")

    async def pay(self, account: Account) -> None:
        product = "pro" if self._chance(0.6) else "history"
        body = {"product": product, "card": self._rng.choice(CARDS)}
        await self.ask(account, "POST", "payments/payments", body)

    async def hurry(self, account: Account) -> None:
        """Reload the price again and again, in several windows, faster than anybody may."""

        async def window() -> None:
            for _ in range(15):
                await self.ask(account, "GET", "market/quotes/BTC-USD", pause=False)

        if self._chance(0.4):
            await asyncio.gather(window(), window())

    async def trade(self, account: Account) -> None:
        usd = self._rng.choice([500, 2000, 5000, 20_000, 60_000, 150_000])
        await self.order(account, usd)

    async def wait(self, account: Account) -> None:
        """An order below the market; sometimes it is withdrawn before it trades or ends."""
        symbol = self._rng.choice(list(MARKET))
        quote = await self.ask(account, "GET", f"market/quotes/{symbol}")
        if not quote.is_success:
            return
        below = self._rng.choice([0.0002, 0.0005, 0.02, 0.02])
        limit = round(quote.json()["price"] * (1 - below), 2)
        good_for = 20 * service.INTERVAL
        answer = await self.order(account, 2000, symbol, limit=limit, good_for_seconds=good_for)
        if answer.status_code == 202 and self._chance(0.5):
            await self.ask(account, "DELETE", f"trading/orders/{answer.json()['order_id']}")

    async def rebalance(self, account: Account) -> None:
        """Six orders at once, more than the exchange takes."""
        if self._chance(0.4):
            await asyncio.gather(*(self.order(account, 500, pause=False) for _ in range(6)))

    async def order(
        self,
        account: Account,
        usd: float,
        symbol: str = "",
        *,
        pause: bool = True,
        **terms: float,
    ) -> httpx.Response:
        """The customer's wish is where the journey of an order begins."""
        symbol = symbol or self._rng.choice(list(MARKET))
        side = "buy" if terms or self._chance(0.5) else "sell"
        body = {"symbol": symbol, "side": side, "quantity": round(usd / MARKET[symbol], 6), **terms}
        with tradespan.signal(symbol=symbol, signal_type="manual", side=side) as s:
            answer = await self.ask(account, "POST", "trading/orders", body, pause=pause)
            if answer.is_server_error:
                s.end_as("error", f"status {answer.status_code}")
            elif not answer.is_success:
                s.reject(f"status {answer.status_code}")
        stats.add("orders" if answer.is_success else "orders_refused")
        return answer

    async def ask(
        self,
        account: Account,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        *,
        pause: bool = True,
    ) -> httpx.Response:
        """One request to the gateway, after a moment's thought."""
        if pause:
            await moment()
        headers = {"authorization": f"Bearer {account.token}"} if account.token else {}
        stats.add("requests")
        return await self._http.request(method, f"/api/{path}", json=body, headers=headers)

    def _chance(self, share: float) -> bool:
        return self._rng.random() < share
