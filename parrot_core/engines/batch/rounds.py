"""The rounds of one engine: each is one batch, ordered once, followed, its answers handed out."""

import asyncio
import logging
from collections.abc import Container, Coroutine, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from openai.types import Batch

from parrot_core.engines.batch.orders import BatchOrders, NotOrdered, errors_of
from parrot_core.engines.batch.protocol import (
    ROOM_CODES,
    Again,
    Bought,
    Cancelled,
    Outcome,
    Refused,
    batch_refusal,
)
from parrot_core.engines.limits.budget import Budget, cost_usd
from parrot_core.engines.limits.limits import Sleep
from parrot_core.engines.response import Answer
from parrot_core.engines.types import EngineError, RunError
from parrot_core.lake.batch_records import BatchRecords, Intent, Orders
from parrot_core.recipe import BatchSettings, Price

logger = logging.getLogger(__name__)

MONEY_POLL_S = 1.0


class LeftOpen(RunError):
    """The process ends while a batch is in work; it goes on, and is picked up by the next run."""


@dataclass(slots=True, eq=False)
class Round:
    """One batch, ours or one that another process left."""

    name: str
    requests: int
    worst: dict[str, float]  # dollars, of the requests whose answers are not in a journal yet
    intent: Intent | None = None  # None until its file is uploaded
    attached: bool = False  # another process ordered it
    aside_usd: float | None = None  # set aside in the budget and not settled yet
    batch: Batch | None = None  # as the provider last showed it
    results: dict[str, Outcome] | None = None  # None until it is over
    followed: "asyncio.Task[None] | None" = None
    crowded: bool = False  # the provider had no room for it

    @property
    def title(self) -> str:
        return f"batch {self.batch.id}" if self.batch else f"round {self.name}"


class Rounds:
    """All rounds that an engine may still take answers from. Lives on one event loop."""

    def __init__(
        self,
        name: str,
        orders: BatchOrders,
        settings: BatchSettings,
        budget: Budget,
        price: Price | None,
        records: BatchRecords,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self.name = name
        self.most = settings.max_requests  # fewer while the provider has no room for so many
        self._orders = orders
        self._settings = settings
        self._budget = budget
        self._price = price
        self._records = records
        self._sleep = sleep
        self._rounds: dict[str, Round] = {}
        self._of: dict[str, list[Round]] = {}  # request → rounds that may hold its answer
        self._others: set[str] = set()  # rounds of other engines
        self._tasks: set[asyncio.Task[None]] = set()
        self._looking = asyncio.Lock()
        self._closed = False

    def followed(self) -> list[Round]:
        """Rounds that are being ordered or in work; from any thread."""
        return [r for r in list(self._rounds.values()) if r.followed and r.results is None]

    def open(self, orders: Orders, data: bytes) -> Round:
        """Order a round of these requests, with ``data`` as its input file."""
        worst = {key: usd for keys in orders.values() for key, usd in keys.items()}
        made = datetime.now(UTC)
        batch = Round(self._records.new_round(made), len(worst), worst)
        self._register(batch)
        batch.followed = self._spawn(self._buy(batch, orders, data))
        return batch

    async def outcome(self, key: str) -> Outcome | None:
        """What became of a request in the first round that knows; None when no round does.

        Raises:
            EngineError: its round can't be ordered or followed.
        """
        rounds = self._of.get(key)
        if not rounds:
            return None
        batch = rounds[0]
        if batch.results is None:
            await self._wait(batch)
        assert batch.results is not None
        outcome = batch.results.get(key, Again("it is missing from its batch"))
        if isinstance(outcome, Bought):
            return outcome
        if batch in rounds:
            rounds.remove(batch)
        self._drop(batch, key)
        if isinstance(outcome, Cancelled) and not batch.attached:
            raise RunError(
                f"{self._orders.where}: {batch.title} was cancelled; what it had not answered was "
                "not bought. Running again asks for it again"
            )
        return outcome

    def taken(self, key: str) -> None:
        """Note that a completion is in the journal: its round has served this request."""
        for batch in self._of.pop(key, ()):
            self._drop(batch, key)

    async def look(self) -> None:
        """Take up the rounds that other processes have left in the lake."""
        async with self._looking:
            ours = {r.name for r in self._rounds.values() if not r.attached or r.followed}
            names = await asyncio.to_thread(self._records.rounds, ours | self._others)
            intents = await asyncio.to_thread(self._records.intents, names)
            self._others |= {i.round for i in intents if i.engine != self.name}
            intents = [intent for intent in intents if intent.engine == self.name]
            left = await asyncio.to_thread(self._records.outstanding, intents)
            self._replace_attached(ours, zip(intents, left, strict=True))
            for intent, worst in zip(intents, left, strict=True):
                if not worst and await asyncio.to_thread(self._records.finished, intent):
                    await asyncio.to_thread(self._records.close, intent.round, {"taken": True})

    async def close(self) -> None:
        """Leave what is open to the next run, and say so."""
        self._closed = True
        for batch in self.followed():
            if batch.intent is not None:
                logger.warning("%s", self._left_open(batch))
        for task in self._tasks:
            if task.get_name() != "close":
                task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cost(self, answer: Answer, worst_usd: float) -> float:
        """What a completion is charged; at worst, where the provider doesn't say what it took."""
        if answer.prompt_tokens is None or answer.completion_tokens is None:
            return worst_usd
        return self.price_of(answer.prompt_tokens, answer.completion_tokens)

    def price_of(self, prompt_tokens: int, completion_tokens: int) -> float:
        """Dollars for so many tokens in a batch."""
        full = cost_usd(self._price, prompt_tokens, completion_tokens)
        return full * (1 - self._settings.discount)

    # -- the registry ------------------------------------------------------------------------

    def _register(self, batch: Round) -> None:
        self._rounds[batch.name] = batch
        for key in batch.worst:
            self._of.setdefault(key, []).append(batch)

    def _unregister(self, batch: Round) -> None:
        del self._rounds[batch.name]
        for key in batch.worst:
            rounds = self._of.get(key, [])
            if batch in rounds:
                rounds.remove(batch)
            if not rounds:
                self._of.pop(key, None)

    def _replace_attached(
        self, kept: Container[str], left: Iterable[tuple[Intent, dict[str, float]]]
    ) -> None:
        """Know the rounds of others as the lake has them now. Nothing is awaited in between.

        Rounds in ``kept`` were not looked up, so they stay, even if following one has failed since.
        """
        for batch in [r for r in self._rounds.values() if r.attached and not r.followed]:
            if batch.name not in kept:
                self._settle(batch, 0.0)
                self._unregister(batch)
        for intent, worst in left:
            if worst and intent.round not in self._rounds:
                aside = sum(worst.values())
                self._budget.owe(aside)
                self._register(
                    Round(intent.round, intent.requests, worst, intent, True, aside_usd=aside)
                )

    def _drop(self, batch: Round, key: str) -> None:
        """A request needs nothing from a round any more; close the round with its last one."""
        if not self._of.get(key, True):
            del self._of[key]
        if batch.results is not None:
            batch.results.pop(key, None)
        if batch.worst.pop(key, None) is not None and not batch.worst:
            self._rounds.pop(batch.name, None)
            self._spawn(self._close(batch), "close")

    # -- one round ---------------------------------------------------------------------------

    async def _wait(self, batch: Round) -> None:
        """Wait until a round is over, following it if nobody does."""
        if batch.followed is None:
            batch.followed = self._spawn(self._follow(batch, ours=False))
        try:
            await asyncio.shield(batch.followed)
        except asyncio.CancelledError:
            if self._closed:
                raise LeftOpen(self._left_open(batch)) from None
            raise
        except EngineError as error:  # one error, raised to all who wait
            raise error.with_traceback(None) from None

    async def _buy(self, batch: Round, orders: Orders, data: bytes) -> None:
        try:
            worst = sum(batch.worst.values())
            while not self._budget.try_reserve(worst):
                await self._sleep(MONEY_POLL_S)
            batch.aside_usd = worst
            batch.intent = Intent(
                round=batch.name,
                engine=self.name,
                base_url=self._orders.base_url,
                input_file_id=await self._orders.upload(data),
                created_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
                orders=orders,
            )
            await asyncio.to_thread(self._records.intend, batch.intent)
        except BaseException:
            self._settle(batch, 0.0)
            self._unregister(batch)
            raise
        del data
        await self._follow(batch, ours=True)

    async def _follow(self, batch: Round, *, ours: bool) -> None:
        """Wait until a round is over and take what became of its requests."""
        assert batch.intent is not None
        try:
            get_id = self._orders.order if ours else self._orders.recover
            batch_id = await get_id(batch.intent)
        except NotOrdered as not_ordered:
            error = not_ordered.error
            outcome: Outcome = Refused(error) if error else Again("never ordered", False)
            await self._over(batch, dict.fromkeys(batch.worst, outcome))
            return
        over = await self._orders.until_over(batch_id, lambda seen: setattr(batch, "batch", seen))
        if over.status == "failed":
            outcome = await self._failed(batch, over)
            await self._over(batch, dict.fromkeys(batch.worst, outcome))
            return
        found = await self._orders.results(over, batch.worst.keys())
        missing: Outcome = Again(f"not done, {over.status}")
        if over.status == "cancelled":
            missing = Cancelled()
        if batch.requests == self.most:  # there is room for so many, and maybe for more
            self.most = min(self._settings.max_requests, 2 * self.most)
        await self._over(batch, {key: found.get(key, missing) for key in batch.worst})

    async def _failed(self, batch: Round, over: Batch) -> Outcome:
        """A batch that the provider refused as a whole: nothing of it was sold."""
        errors = errors_of(over)
        told = "; ".join(f"{e.get('code')}: {e.get('message')}" for e in errors[:3]) or "no reason"
        if any(error.get("code") in ROOM_CODES for error in errors):
            await self._wait_for_room(batch, told)
            return Again(told, counts=False)
        if batch.attached:
            return Again("its batch failed", counts=False)
        where = f"{self._orders.where}, batch {over.id}, failed as a whole: {told}"
        return Refused(batch_refusal(errors, where))

    async def _wait_for_room(self, batch: Round, told: str) -> None:
        """Wait for a batch of ours to end; where none is in work, make smaller ones."""
        batch.crowded = True
        others = [r.followed for r in self.followed() if r.followed and not r.crowded]
        logger.warning("engine '%s': %s is asked again later: %s", self.name, batch.title, told)
        self._orders.trouble = f"the provider has no room for a batch: {told}"
        if others:
            await asyncio.wait(others, return_when=asyncio.FIRST_COMPLETED)
        else:
            self.most = max(1, batch.requests // 2)
            await self._sleep(self._settings.poll_s)
        self._orders.trouble = None

    async def _over(self, batch: Round, results: dict[str, Outcome]) -> None:
        """Keep the results and settle the bill; close a round that has none to give."""
        bought = {key: each for key, each in results.items() if isinstance(each, Bought)}
        self._settle(
            batch,
            sum(self.cost(each.answer(), batch.worst[key]) for key, each in bought.items()),
        )
        if not bought:
            await self._close(batch)
            batch.worst = {}
            self._rounds.pop(batch.name, None)
        batch.results = results

    def _settle(self, batch: Round, usd: float) -> None:
        if batch.aside_usd is not None:
            settle = self._budget.pay if batch.attached else self._budget.settle
            settle(batch.aside_usd, usd)
            batch.aside_usd = None

    async def _close(self, batch: Round) -> None:
        summary = {
            "engine": self.name,
            "batch_id": batch.batch.id if batch.batch else None,
            "status": batch.batch.status if batch.batch else "never ordered",
            "requests": batch.requests,
            "ordered_at": batch.intent.created_at if batch.intent else None,
        }
        await asyncio.to_thread(self._records.close, batch.name, summary)

    def _spawn(
        self, work: Coroutine[Any, Any, None], name: str | None = None
    ) -> "asyncio.Task[None]":
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: "asyncio.Task[None]") -> None:
        """Let a round that could not be followed be tried again, should somebody ask."""
        self._tasks.discard(task)
        if task.cancelled() or (error := task.exception()) is None:
            return
        logger.debug("engine '%s': %s", self.name, error)
        for batch in self._rounds.values():
            if batch.followed is task:
                batch.followed = None

    def _left_open(self, batch: Round) -> str:
        where = f"engine '{self.name}': {batch.title} with {batch.requests} requests"
        if batch.intent is None:
            return f"{where} was not ordered yet when the run was ended"
        return (
            f"{where} goes on at the provider and is charged; running the same command again picks "
            "it up"
        )
