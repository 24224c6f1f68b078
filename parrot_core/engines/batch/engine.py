"""The Batch API as a way to buy: whatever waits is gathered into rounds, and each gets its answer.

A round is one batch. Its intent is in the lake before it is ordered and its id right after, so
that whoever resumes takes its answers instead of buying them again: a request is looked for in the
rounds that the lake knows before it joins a new one.
"""

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import openai

from parrot_core.engines.batch.orders import BatchOrders
from parrot_core.engines.batch.protocol import Again, Bought, Refused, request_line
from parrot_core.engines.batch.rounds import LeftOpen, Round, Rounds
from parrot_core.engines.limits.budget import Budget
from parrot_core.engines.limits.limits import Clock, Sleep
from parrot_core.engines.limits.prices import price_of
from parrot_core.engines.response import Answer
from parrot_core.engines.token_counts import worst_tokens
from parrot_core.engines.types import RequestRefused, ShardError
from parrot_core.lake.batch_records import BatchRecords
from parrot_core.recipe import BatchSettings, OpenAIEngine

CLOSING_S = 5.0
"""Longest wait for requests to notice that the engine is closed."""


@dataclass(slots=True)
class _Wanted:
    """A request that no round holds yet."""

    key: str
    shard: int
    body: dict[str, Any]
    worst_usd: float
    ordered: "asyncio.Future[Round]"
    waiting: int = 0  # how many wait for it


class BatchChat:
    """One engine that is asked in batches. Lives on one event loop, for all shards of a stage."""

    def __init__(
        self,
        name: str,
        orders: BatchOrders,
        rounds: Rounds,
        settings: BatchSettings,
        max_retries: int,
        clock: Clock = time.monotonic,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        """``max_retries`` is how often a request that expired or failed is asked again."""
        self.name = name
        self._orders = orders
        self._rounds = rounds
        self._settings = settings
        self._max_retries = max_retries
        self._clock = clock
        self._sleep = sleep
        self._gathered: dict[str, _Wanted] = {}
        self._last = 0.0
        self._full = asyncio.Event()
        self._gatherer: asyncio.Task[None] | None = None
        self._sending = 0
        self._closed = False

    def begin(self, shard: int) -> "ShardOrders":
        """One attempt at one shard: what it asks for is looked for in the lake first."""
        return ShardOrders(self, self._rounds, shard)

    def waiting(self) -> str | None:
        """What the engine waits for, for people; None when it waits for nothing."""
        if self._orders.trouble:
            return self._orders.trouble
        followed = self._rounds.followed()
        in_work = [each for each in followed if each.batch is not None]
        if in_work and (batch := in_work[0].batch) is not None:
            counts = batch.request_counts
            done = counts.completed + counts.failed if counts else 0
            more = f", and {len(followed) - 1} more" if len(followed) > 1 else ""
            return f"waiting for batch {batch.id}: {done}/{in_work[0].requests} done{more}"
        if followed:
            return f"ordering a batch of {followed[0].requests} requests"
        if self._gathered:
            return f"gathering a batch: {len(self._gathered)} requests so far"
        return None

    async def send(
        self, shard: int, body: dict[str, Any], max_tokens: int, key: str
    ) -> tuple[Answer, float]:
        """Wait for a request's completion, whichever round it is in; returns it and its cost.

        Raises:
            RowError, ShardError, RunError: see ``engines.types``.
        """
        self._sending += 1
        try:
            worst_usd = self._rounds.price_of(*worst_tokens(body, max_tokens))
            tries, why = 0, ""
            while tries <= self._max_retries:
                outcome = await self._rounds.outcome(key)
                if isinstance(outcome, Bought):
                    answer = outcome.answer()
                    return answer, self._rounds.cost(answer, worst_usd)
                if isinstance(outcome, Refused):
                    raise outcome.error.with_traceback(None)
                if isinstance(outcome, Again):
                    tries, why = tries + outcome.counts, outcome.why
                if outcome is None:
                    await self._join(key, shard, body, worst_usd)
            where = self._orders.where
            raise ShardError(f"{where}: a request failed in {tries} batches, the last: {why}")
        finally:
            self._sending -= 1

    async def close(self) -> None:
        """Order nothing more; what is open is left to the next run, which is said."""
        self._closed = True
        if self._gatherer is not None:
            self._gatherer.cancel()
        for wanted in self._gathered.values():
            wanted.ordered.set_exception(self._ended())
        await self._rounds.close()
        end = self._clock() + CLOSING_S
        while self._sending and self._clock() < end:
            await asyncio.sleep(0.001)

    async def _join(self, key: str, shard: int, body: dict[str, Any], worst_usd: float) -> None:
        """Wait until the request is in a round."""
        if self._closed:
            raise self._ended()
        wanted = self._gathered.get(key)
        if wanted is None:
            ordered: asyncio.Future[Round] = asyncio.get_running_loop().create_future()
            ordered.add_done_callback(lambda done: done.cancelled() or done.exception())
            wanted = self._gathered[key] = _Wanted(key, shard, body, worst_usd, ordered)
            self._last = self._clock()
            if len(self._gathered) >= self._rounds.most:
                self._full.set()
            if self._gatherer is None or self._gatherer.done():
                self._gatherer = asyncio.create_task(self._gather())
        wanted.waiting += 1
        try:
            await asyncio.shield(wanted.ordered)
        finally:
            wanted.waiting -= 1
            if not wanted.waiting and self._gathered.get(key) is wanted:
                del self._gathered[key]  # nobody wants it any more, and it is not ordered yet

    async def _gather(self) -> None:
        """Order what waits, whenever it fills a batch or nothing has come for a while."""
        while self._gathered:
            left = self._settings.max_wait_s - (self._clock() - self._last)
            if len(self._gathered) < self._rounds.most and left > 0:
                pause = asyncio.ensure_future(self._sleep(left))
                full = asyncio.create_task(self._full.wait())
                await asyncio.wait({pause, full}, return_when=asyncio.FIRST_COMPLETED)
                pause.cancel()
                full.cancel()
                continue
            self._full.clear()
            chosen = list(self._gathered.values())
            self._gathered.clear()
            try:
                self._order(chosen)
            except Exception as error:
                for wanted in chosen:
                    if not wanted.ordered.done():
                        wanted.ordered.set_exception(error)

    def _order(self, chosen: Sequence[_Wanted]) -> None:
        for requests, data in self._files(chosen):
            orders: dict[int, dict[str, float]] = {}
            for wanted in requests:
                orders.setdefault(wanted.shard, {})[wanted.key] = wanted.worst_usd
            ordered = self._rounds.open(orders, data)
            for wanted in requests:
                wanted.ordered.set_result(ordered)

    def _files(self, chosen: Sequence[_Wanted]) -> Iterator[tuple[list[_Wanted], bytes]]:
        """Input files, each within the limits on requests and on bytes."""
        most_bytes = self._settings.max_file_mb * 1_000_000
        requests: list[_Wanted] = []
        data = bytearray()
        for wanted in chosen:
            try:
                line = request_line(wanted.key, wanted.body)
                if len(line) > most_bytes:
                    raise RequestRefused("the request is larger than a whole batch may be")
            except RequestRefused as error:
                wanted.ordered.set_exception(error)
                continue
            if len(requests) >= self._rounds.most or len(data) + len(line) > most_bytes:
                yield requests, bytes(data)
                requests, data = [], bytearray()
            requests.append(wanted)
            data += line
        if requests:
            yield requests, bytes(data)

    def _ended(self) -> LeftOpen:
        return LeftOpen(f"engine '{self.name}': the run was ended before a request was ordered")


class ShardOrders:
    """One attempt at one shard, as the engine sees it."""

    def __init__(self, chat: BatchChat, rounds: Rounds, shard: int) -> None:
        self._chat = chat
        self._rounds = rounds
        self._shard = shard
        self._looked: asyncio.Task[None] | None = None

    async def send(self, body: dict[str, Any], max_tokens: int, key: str) -> tuple[Answer, float]:
        """See :meth:`BatchChat.send`; the first request reads what earlier attempts ordered."""
        if self._looked is None:
            self._looked = asyncio.create_task(self._rounds.look())
        await asyncio.shield(self._looked)
        return await self._chat.send(self._shard, body, max_tokens, key)

    def taken(self, key: str) -> None:
        """Note that a completion is in the journal, from any thread of the engine's loop."""
        self._rounds.taken(key)


def batch_chat(
    name: str,
    client: openai.AsyncOpenAI,
    engine: OpenAIEngine,
    budget: Budget,
    records: BatchRecords,
) -> BatchChat:
    """An engine of the recipe that is asked in batches."""
    settings = engine.batch
    assert settings is not None
    orders = BatchOrders(name, client, settings, engine.limits, records)
    rounds = Rounds(name, orders, settings, budget, price_of(engine), records)
    return BatchChat(name, orders, rounds, settings, engine.limits.max_retries)
