"""One engine for one attempt at a shard: its completions go through the shard's journal."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from opentelemetry.trace import Span

from parrot_core.engines.batch.engine import BatchChat, ShardOrders
from parrot_core.engines.context_watch import ContextWatch, cut_words
from parrot_core.engines.openai_chat import OpenAIChat, Paid, Purchase
from parrot_core.engines.request import request_body, request_key, sampling_seed
from parrot_core.engines.response import Answer, mended
from parrot_core.engines.shaping import RequestShape
from parrot_core.engines.token_counts import is_used_up, used_up_words
from parrot_core.engines.types import (
    Completion,
    ContentFiltered,
    ContextFull,
    FinishReason,
    LimitUsedUp,
    Message,
    ProviderError,
    RequestRefused,
    RowError,
    Usage,
)
from parrot_core.engines.vllm.replicas import session_of
from parrot_core.lake.journal import PROBE, Entry, Journal, UnwritableEntry
from parrot_core.lake.run_records import utc_now
from parrot_core.recipe import Sampling
from parrot_core.telemetry.execution_context import in_context
from parrot_core.telemetry.tracing import request_span
from parrot_core.telemetry.traffic import Traffic

if TYPE_CHECKING:
    from parrot_core.engines.connection import Engines


logger = logging.getLogger(__name__)

REFUSALS: Mapping[str, type[RowError]] = {
    kind.reason: kind for kind in (RequestRefused, ContextFull, ContentFiltered, ProviderError)
}
"""What a refusal in the journal is raised as."""


@dataclass(frozen=True, slots=True)
class Connected:
    """One engine of the recipe, ready to be asked."""

    chat: OpenAIChat
    shape: RequestShape
    endpoint: str  # what the journal's key calls it; the same wherever the server happens to run
    model: str
    batches: BatchChat | None = None  # asked instead of ``chat``


class JournaledModel:
    """A ``ChatModel`` that buys nothing twice and returns nothing that could be lost."""

    def __init__(
        self,
        name: str,
        connected: Connected,
        engines: "Engines",
        journal: Journal,
        shard: int,
        seed: int,
        traffic: Traffic,
    ) -> None:
        self._traffic = traffic
        self._context = ContextWatch()
        self._name = name
        self._connected = connected
        self._engines = engines
        self._journal = journal
        self._seed = seed
        batches = connected.batches
        self._orders: ShardOrders | None = batches.begin(shard) if batches else None

    @property
    def name(self) -> str:
        return self._name

    @property
    def model(self) -> str:
        """The model it runs: a name at a provider, or a version in the lake."""
        return self._connected.model

    async def complete(
        self, messages: Sequence[Message], sampling: Sampling, *, sample: str
    ) -> Completion:
        """The completion, durable before it is returned; bought only if no attempt had it."""
        connected, share = self._connected, self._engines.traced
        with (
            in_context(session=session_of(sample)),
            request_span(connected.endpoint, self._name, self.model, share) as asked,
        ):
            completion = await self._complete(messages, sampling, sample, asked)
            asked.set_attribute("gen_ai.usage.input_tokens", completion.usage.prompt_tokens)
            asked.set_attribute("gen_ai.usage.output_tokens", completion.usage.completion_tokens)
            asked.set_attribute("gen_ai.response.finish_reasons", [completion.finish_reason])
            return completion

    async def _complete(
        self, messages: Sequence[Message], sampling: Sampling, sample: str, asked: Span
    ) -> Completion:
        """The completion out of the journal, or bought and journaled."""
        seed = sampling_seed(self._seed, sample)
        body = request_body(self.model, messages, sampling, seed, self._connected.shape)
        key = request_key(self._connected.endpoint, body, sample)
        entry = self._journal.get(key)
        asked.set_attributes({"parrot.sample": sample, "parrot.replayed": entry is not None})
        replayed = entry is not None
        if entry is None:
            entry = await self._new_entry(key, body, sample, sampling.max_tokens, asked)
            if self._orders is not None:
                self._engines.tell(self._orders.taken, key)
        if self._context.shrank(sample, messages, entry.prompt_tokens) and not replayed:
            self._traffic.cut_contexts += 1
            logger.warning("%s: %s", sample, cut_words(self._name))
        if entry.refused is not None:
            raise REFUSALS[entry.refused](entry.detail or "")
        if entry.finish_reason == "content_filter":  # journaled: it was paid for as well
            raise ContentFiltered(f"engine '{self._name}' cut the completion: content filter")
        if is_used_up(entry.text, entry.finish_reason):
            words = used_up_words(body, sampling.max_tokens)
            raise LimitUsedUp(f"engine '{self._name}': {words}")
        return Completion(
            text=entry.text,
            finish_reason=cast(FinishReason, entry.finish_reason),
            usage=Usage(entry.prompt_tokens, entry.completion_tokens, 1),
            engine=entry.engine,
            model=entry.model,
            request_key=key,
            thinking=entry.thinking,
        )

    async def _new_entry(
        self, key: str, body: dict[str, Any], sample: str, max_tokens: int, asked: Span
    ) -> Entry:
        """What came of a request, in the journal by now: an answer, or a refusal for good."""
        try:
            answer, usd = await self._buy(key, body, sample, max_tokens, asked)
            entry = self._entry(key, sample, answer, usd)
            self._traffic.truncated += entry.finish_reason == "length"
        except ProviderError:  # another attempt may fare better
            raise
        except RowError as refusal:
            refused = Answer("", "unknown", prompt_tokens=0, completion_tokens=0)
            entry = replace(
                self._entry(key, sample, refused, 0.0),
                refused=refusal.reason,
                detail=mended(str(refusal)),
            )
        return await self._record(entry)

    async def _record(self, entry: Entry) -> Entry:
        """Journal an entry; one that no file can hold is a refusal, with its price."""
        try:
            await self._journal.record(entry)
        except UnwritableEntry as error:
            entry = replace(
                entry,
                text="",
                thinking=None,
                refused=ProviderError.reason,
                detail=f"engine '{self._name}' gave an answer that can't be kept: {error}",
            )
            await self._journal.record(entry)
        self._engines.budget.journaled(entry.usd)
        _end_if_cancelled()
        return entry

    async def _buy(
        self, key: str, body: dict[str, Any], sample: str, max_tokens: int, asked: Span
    ) -> tuple[Answer, float]:
        if self._orders is not None:  # a batch has no limiter to hold it
            await self._engines.run(self._engines.may_buy())
            self._traffic.in_flight += 1
            try:
                return await self._engines.run(self._orders.send(body, max_tokens, key))
            finally:
                self._traffic.in_flight -= 1
        purchase = Purchase(self._traffic)
        send = self._connected.chat.send(body, max_tokens, sample, purchase)
        try:
            answer = await self._engines.buy(send, purchase)
        finally:
            asked.set_attribute("parrot.refusals", purchase.refusals)
            for paid in purchase.paid:
                await self._keep(paid, key, body, sample)
        asked.set_attribute("parrot.latency_s", purchase.latency_s)
        return answer

    async def _keep(self, paid: Paid, key: str, body: dict[str, Any], sample: str) -> None:
        """Journal what was paid for beside the answer: small requests, or it before a stop."""
        if paid.body is not body:
            sample = f"{sample}{PROBE}{utc_now()}"
            key = request_key(self._connected.endpoint, paid.body, sample)
        await self._journal.record(self._entry(key, sample, paid.answer, paid.usd))
        self._engines.budget.journaled(paid.usd)

    def _entry(self, key: str, sample: str, answer: Answer, usd: float) -> Entry:
        return Entry(
            key=key,
            sample=sample,
            engine=self._name,
            model=self.model,
            text=answer.text,
            finish_reason=answer.finish_reason,
            prompt_tokens=answer.prompt_tokens or 0,
            completion_tokens=answer.completion_tokens or 0,
            usd=usd,
            created_at=utc_now(),
            thinking=answer.thinking,
        )


def _end_if_cancelled() -> None:
    """Go on with a cancellation that waited until a paid answer was kept."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
