"""What an engine knows of the rounds that others left, while several shards look for them."""

import asyncio
from collections.abc import Sequence
from typing import cast

import pytest

from parrot_core.engines.batch.orders import BatchOrders
from parrot_core.engines.batch.rounds import Rounds
from parrot_core.engines.limits.budget import Budget
from parrot_core.engines.types import KeyRefused
from parrot_core.lake.batch_records import BatchRecords, Intent
from parrot_core.recipe import BatchSettings

LEFT = Intent(
    "r0", "answerer", "http://api", "file-0", "2026-01-01T00:00:00+00:00", {0: {"k": 1.0}}
)


class Records:
    """One round that an earlier process left; ``looking`` is awaited by the second look."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.looks = 0
        self.looking = asyncio.Event()
        self.refused = asyncio.Event()

    def rounds(self, known: frozenset[str]) -> list[str]:
        self.looks += 1
        if self.looks == 2:
            self._loop.call_soon_threadsafe(self.looking.set)
            asyncio.run_coroutine_threadsafe(self.refused.wait(), self._loop).result(10)
        return [] if LEFT.round in known else [LEFT.round]

    def intents(self, rounds: Sequence[str]) -> list[Intent]:
        return [LEFT for _ in rounds]

    def outstanding(self, intents: Sequence[Intent]) -> list[dict[str, float]]:
        return [dict(intent.orders[0]) for intent in intents]


class Orders:
    """A provider that refuses the key once somebody else looks for rounds."""

    where = "engine 'answerer'"

    def __init__(self, records: Records) -> None:
        self._records = records

    async def recover(self, intent: Intent) -> str:
        await self._records.looking.wait()
        raise KeyRefused("not the account that ordered it")


def test_a_round_that_is_refused_while_others_look_is_not_forgotten_and_bought_again() -> None:
    async def scene() -> None:
        records = Records(asyncio.get_running_loop())
        orders = cast(BatchOrders, Orders(records))
        kept = cast(BatchRecords, records)
        rounds = Rounds("answerer", orders, BatchSettings(), Budget(None), None, kept)
        await rounds.look()
        first = asyncio.create_task(rounds.outcome("k"))
        await asyncio.sleep(0)
        second = asyncio.create_task(rounds.look())
        with pytest.raises(KeyRefused):
            await first
        records.refused.set()
        await second
        with pytest.raises(KeyRefused):
            await rounds.outcome("k")

    asyncio.run(scene())
