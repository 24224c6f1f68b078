"""The provider's side of a batch: upload, order, find again, poll and fetch, with retries."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Container
from datetime import UTC, datetime
from typing import TypeVar

import httpx2
import openai
from openai.types import Batch

from parrot_core.engines.batch.protocol import ENDPOINT, Outcome, read_line
from parrot_core.engines.decisions import decide, what_happened
from parrot_core.engines.failures import CLIENT_ERRORS, ProviderFailure, failure_of
from parrot_core.engines.limits.limits import Sleep
from parrot_core.engines.types import EngineError, RowError, RunError, ShardError
from parrot_core.errors import PicklableError
from parrot_core.lake.batch_records import BatchRecords, Intent
from parrot_core.recipe import BatchSettings, Limits
from parrot_core.text.redaction import without_key

T = TypeVar("T")

ROUND = "parrot_round"
"""The metadata under which a batch is found again."""
OVER = ("completed", "failed", "expired", "cancelled")
LONGEST_BACKOFF_S = 60.0


class NotOrdered(PicklableError):
    """A round was given up before it was ordered, because of ``error`` or by another worker."""

    def __init__(self, error: EngineError | None = None) -> None:
        self.error = error
        super().__init__()


class BatchOrders:
    """One engine's dealings with the provider. Lives on one event loop."""

    def __init__(
        self,
        name: str,
        client: openai.AsyncOpenAI,
        settings: BatchSettings,
        limits: Limits,
        records: BatchRecords,
        rng: random.Random | None = None,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        """``client`` must not retry by itself (``max_retries=0``): retries are counted here."""
        self.base_url = str(client.base_url)
        self.where = f"engine '{name}' at {client.base_url}"
        self.trouble: str | None = None
        self._client = client
        self._settings = settings
        self._limits = limits
        self._records = records
        self._rng = rng or random.Random()
        self._sleep = sleep

    async def upload(self, data: bytes) -> str:
        """Upload an input file; returns its id. One that is never ordered costs nothing."""
        files = self._client.files
        made = await self._patiently(
            "upload of a batch",
            lambda: files.create(file=("round.jsonl", data), purpose="batch"),
            self._limits.max_retries,
        )
        return made.id

    async def order(self, intent: Intent) -> str:
        """Create the batch of a stored intent; returns its id, which is durable by then.

        Raises:
            NotOrdered: the provider refuses it, or another worker has given the round up; what
                we created is cancelled then.
            ShardError: it can't be ordered, or may have been: the intent stands.
        """
        for attempt in range(self._limits.max_retries + 1):
            try:
                batch_id: str | None = (await self._create(intent)).id
            except CLIENT_ERRORS as error:
                failure = failure_of(error)
                verdict = decide(failure)
                if verdict.error is not None:
                    await asyncio.to_thread(self._records.decide, intent.round, None)
                    raise NotOrdered(self._refused("order", verdict.error, failure)) from None
                unsure = not failure.busy
                batch_id = await self.find(intent, self._settings.grace_s) if unsure else None
                last = failure
                if batch_id is None:
                    await self._sleep(self._backoff(attempt, failure))
                    continue
            assert batch_id is not None
            await self._keep_id(intent.round, batch_id)
            return batch_id
        raise ShardError(
            f"{self.where}: a batch could not be created in {self._limits.max_retries + 1} tries, "
            f"the last: {what_happened(last)}"
        )

    async def recover(self, intent: Intent) -> str:
        """The id of a round that some worker intended; it is looked for at the provider.

        Raises:
            NotOrdered: it was not ordered, and nobody will order it any more.
        """
        batch_id, decided = await asyncio.to_thread(self._records.batch_id, intent.round)
        if not decided:
            intended = datetime.fromisoformat(intent.created_at)
            age = max(0.0, (datetime.now(UTC) - intended).total_seconds())  # clocks may differ
            found = await self.find(intent, max(0.0, self._settings.grace_s - age))
            batch_id = await asyncio.to_thread(self._records.decide, intent.round, found)
        if batch_id is None:
            raise NotOrdered
        return batch_id

    async def find(self, intent: Intent, grace_s: float) -> str | None:
        """Look for a round among the provider's batches until ``grace_s`` seconds have passed."""
        waited = 0.0
        while True:
            found = await self._patiently("list of batches", lambda: self._search(intent), None)
            if found is not None or waited >= grace_s:
                return found
            step = min(self._settings.poll_s, grace_s - waited)
            await self._sleep(step)
            waited += step

    async def until_over(self, batch_id: str, watch: Callable[[Batch], None]) -> Batch:
        """Look at a batch until it is over; ``watch`` is told of each look."""
        while True:
            batch = await self._patiently(
                f"batch {batch_id}", lambda: self._client.batches.retrieve(batch_id), None
            )
            watch(batch)
            if batch.status in OVER:
                return batch
            await self._sleep(self._settings.poll_s)

    async def results(self, batch: Batch, wanted: Container[str]) -> dict[str, Outcome]:
        """What became of the wanted requests of a batch, from its output and error files."""
        found: dict[str, Outcome] = {}
        for file_id in (batch.error_file_id, batch.output_file_id):  # what was sold has the say
            if file_id is not None:
                found |= await self._patiently(
                    f"results of batch {batch.id}",
                    lambda file_id=file_id: self._fetch(file_id, batch.id, wanted),  # type: ignore[misc]
                    None,
                )
        return found

    async def _create(self, intent: Intent) -> Batch:
        return await self._client.batches.create(
            completion_window=self._settings.completion_window,
            endpoint=ENDPOINT,
            input_file_id=intent.input_file_id,
            metadata={
                ROUND: intent.round,
                "parrot_run": self._records.run,
                "parrot_stage": self._records.stage,
            },
        )

    async def _keep_id(self, round: str, batch_id: str) -> None:
        standing = await asyncio.to_thread(self._records.decide, round, batch_id)
        if standing != batch_id:
            await self._client.batches.cancel(batch_id)
            raise NotOrdered

    async def _search(self, intent: Intent) -> str | None:
        """Every page: nothing is promised about the order of the listing."""
        async for batch in self._client.batches.list(limit=100):
            named = (batch.metadata or {}).get(ROUND) == intent.round
            if named or batch.input_file_id == intent.input_file_id:
                return batch.id
        return None

    async def _fetch(
        self, file_id: str, batch_id: str, wanted: Container[str]
    ) -> dict[str, Outcome]:
        found: dict[str, Outcome] = {}
        where = f"{self.where}, batch {batch_id}"
        async with self._client.files.with_streaming_response.content(file_id) as response:
            async for line in _lines(response.iter_bytes(1 << 20)):
                key, outcome = read_line(line, where)
                if key in wanted:
                    found[key] = outcome
        return found

    async def _patiently(
        self, what: str, call: Callable[[], Awaitable[T]], retries: int | None
    ) -> T:
        """Make a call until it succeeds; with ``retries`` None for as long as there is a point."""
        attempt = 0
        while True:
            try:
                try:
                    result = await call()
                except httpx2.HTTPError as error:  # while an answer is streamed
                    raise openai.APIConnectionError(request=error.request) from error
            except CLIENT_ERRORS as error:
                failure = failure_of(error)
                verdict = decide(failure)
                if verdict.error is not None:
                    raise self._refused(what, verdict.error, failure) from None
                if retries is not None and attempt >= retries:
                    told = f"{self.where}: {what} failed {attempt + 1} times in a row"
                    raise ShardError(f"{told}, the last: {what_happened(failure)}") from error
                self.trouble = f"{what}: {what_happened(failure)}, tried again"
                await self._sleep(self._backoff(attempt, failure))
                attempt += 1
            else:
                self.trouble = None
                return result

    def _refused(
        self, what: str, kind: Callable[[str], EngineError], failure: ProviderFailure
    ) -> EngineError:
        """The error of a call that concerns a whole batch: never one of a single row."""
        why = f"{self.where}: {what}: {what_happened(failure)}"
        if str(failure):
            why += f", {without_key(str(failure), self._client.api_key)}"
        if failure.status == 404:
            folder = f"runs/{self._records.run}/{self._records.stage}/batches"
            why += (
                ". Has this address a Batch API, and is it the account that the batch was ordered "
                f"from? Its record is in {folder}; without it, its requests would be bought again"
            )
        made = kind(why)
        return RunError(why) if isinstance(made, RowError) else made

    def _backoff(self, attempt: int, failure: ProviderFailure) -> float:
        ceiling = min(LONGEST_BACKOFF_S, 0.5 * 2.0 ** min(attempt, 10))
        return (failure.retry_after or 0.0) + self._rng.uniform(0, ceiling)


async def _lines(pieces: AsyncIterator[bytes]) -> AsyncIterator[str]:
    """Lines of a JSONL file: ``iter_lines`` would also cut at U+2028, which JSON strings hold."""
    rest = b""
    async for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        for line in whole:
            if line.strip():
                yield line.decode()
    if rest.strip():
        yield rest.decode()


def errors_of(batch: Batch) -> list[dict[str, object]]:
    """The errors of a batch that failed its validation."""
    if batch.errors is None or batch.errors.data is None:
        return []
    return [json.loads(error.model_dump_json()) for error in batch.errors.data]
