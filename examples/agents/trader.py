"""One desk's rounds: agents ask their models, decide with conviction, trade under a constitution.

Each decision is a journey: it ends as a fill, as a rejection, or as nothing to do.
"""

import asyncio
import logging
import os
from collections import Counter
from pathlib import Path

import constitution
import httpx
from analysts import ANALYSTS, MODELS, Analyst, Opinion, decide, opinion, question
from book import Book, Order
from features import L1, L2, FeatureStore
from indicators import WINDOW
from market import TICKERS, Market

import tradespan
from tradespan.recorders import agents, features, portfolio, pricing, safety

log = logging.getLogger("desk")


class Trader:
    """The market, the book, the agents, and what stands between them."""

    def __init__(self, model_url: str, redis_url: str) -> None:
        self.market, self.book, self.switch = Market(), Book(), constitution.KillSwitch()
        self.store = FeatureStore(Path(os.environ.get("DATA_DIR", ".")), redis_url)
        self.model = httpx.AsyncClient(base_url=model_url, timeout=10.0)
        self.fall = safety.Drawdown()
        self.stats: Counter[str] = Counter()
        agents.open(tickers=TICKERS, models=MODELS)
        features.open(layers=(L1, L2))
        portfolio.open(tickers=TICKERS)
        safety.open(rules=constitution.RULES)
        safety.kill_switch(False)
        pricing.open()
        for _ in range(WINDOW):
            self.next_minute()

    def next_minute(self) -> None:
        """The market moves, and the database has its bars."""
        self.market.minute += 1
        self.store.append(self.market.minute, self.market.prices())

    async def round(self) -> None:
        """Value the book, and decide on the next ticker."""
        self.value_the_book()
        await self.consider(TICKERS[self.stats["rounds"] % len(TICKERS)])
        self.store.tell_hit_rate()
        self.stats["rounds"] += 1
        self.next_minute()

    def value_the_book(self) -> None:
        """What the book is worth now; too deep a fall halts trading."""
        prices, book, switch = self.market.prices(), self.book, self.switch
        if self.market.begins_day():
            book.begin_day(prices)
        portfolio.update(**book.summary(prices))
        fallen = self.fall.update(book.value(prices))
        if not switch.active and fallen <= -constitution.MAX_DRAWDOWN_PCT:
            self.halt(f"drawdown of {-fallen:.2f} %")
        elif switch.has_cooled_down(self.market.minute):
            self.release()

    def halt(self, reason: str, *, by_hand: bool = False) -> None:
        """No order is filled from here on."""
        self.switch.halt(reason, self.market.minute, by_hand=by_hand)
        safety.kill_switch(True)
        self.stats["halts"] += 1
        log.warning("trading is halted: %s", reason)

    def release(self) -> None:
        """Trade again; the drawdown is counted anew."""
        self.switch.release(self.market.minute)
        self.fall = safety.Drawdown()
        safety.kill_switch(False)
        log.info("trading goes on")

    async def consider(self, ticker: str) -> None:
        """One journey: from the features to a decision, and on to a fill if it is to be."""
        price = self.market.prices()[ticker]
        with tradespan.signal(symbol=ticker, signal_type="agents") as s:
            figures = await asyncio.to_thread(self.figures, ticker)
            asked = [self.analyse(who, ticker, price, figures) for who in ANALYSTS]
            opinions = [found for found in await asyncio.gather(*asked) if found is not None]
            action, conviction = decide(opinions, self.book.held(ticker))
            agents.decision(ticker, action, conviction)
            self.stats[f"{action} decided"] += 1
            s.confidence(conviction)
            if action == "hold":
                s.skip("not sure enough")
                return
            journey = tradespan.inject({})
        self.trade(self.book.order(ticker, action, conviction, price), journey)

    @tradespan.stage("features")
    def figures(self, ticker: str) -> dict[str, float]:
        """All that the agents will look at; what two of them want is found in memory."""
        wanted = [name for who in ANALYSTS for name in who.figures]
        return {name: self.store.get(ticker, name, self.market.minute) for name in wanted}

    async def analyse(
        self, who: Analyst, ticker: str, price: float, figures: dict[str, float]
    ) -> Opinion | None:
        """One agent's opinion; None where its model gives none."""
        async with tradespan.stage("analysis", symbol=ticker, model=who.model, agent=who.name) as s:
            try:
                async with agents.request(who.model) as request:
                    body = question(who, ticker, price, figures)
                    answer = (await self.model.post(who.path, json=body)).raise_for_status().json()
                    request.usage(answer)
                found = opinion(who, answer)
            except (httpx.HTTPError, KeyError, TypeError, ValueError) as error:
                log.warning("%s has no opinion on %s: %r", who.name, ticker, error)
                s.end_as("error", repr(error))
                return None
            agents.analysis()
            self.stats["analyses"] += 1
            s.set(confidence=found.conviction, view=found.action)
            return found

    def trade(self, order: Order, journey: dict[str, str]) -> None:
        """Lead an order through the constitution to its fill."""
        with tradespan.orchestration(carrier=journey, symbol=order.ticker) as o:
            refused = self.refusal(order)
            if refused is not None:
                o.reject(refused)
                self.stats[f"refused by {refused}"] += 1
                return
            with tradespan.execution(symbol=order.ticker, side=order.side, venue="paper") as e:
                paid = self.book.fill(order)
                e.filled(order.quantity, paid, order_id=f"paper-{self.book.fills}")
                portfolio.trade(order.ticker, order.action, order.quantity, paid)
            self.stats[f"{order.action} filled"] += 1
            o.approve()

    def refusal(self, order: Order) -> str | None:
        """What forbids an order, or None: the kill switch, or the first rule that it breaks."""
        with tradespan.risk(symbol=order.ticker) as r:
            kept = constitution.judge(order, self.book, self.market.prices())
            for rule, passed in kept.items():
                safety.check(rule, passed)
                self.stats[f"{rule} {'kept' if passed else 'broken'}"] += 1
            broken = [rule for rule, passed in kept.items() if not passed]
            score = len(broken) / len(kept)
            if self.switch.active:
                r.reject("kill_switch", score=1.0, level="critical")
                return "kill_switch"
            if broken:
                r.reject(broken[0], score=score, level="high" if len(broken) > 1 else "medium")
                return broken[0]
            r.approve(score=score, level="low")
            return None
