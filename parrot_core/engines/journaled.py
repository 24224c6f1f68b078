"""One engine for one attempt at a shard: its completions go through the shard's journal."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from openai.types.chat import ChatCompletion
from opentelemetry.trace import Span

from parrot_core.engines.batch.engine import BatchChat, ShardOrders
from parrot_core.engines.openai_chat import OpenAIChat, Probe, Purchase, as_messages, text_of
from parrot_core.engines.request import request_body, request_key, sampling_seed
from parrot_core.engines.types import (
    Completion,
    ContentFiltered,
    Message,
    ProviderError,
    RequestFails,
    Usage,
)
from parrot_core.engines.vllm.replicas import session_of
from parrot_core.lake.journal import Entry, Journal
from parrot_core.lake.run_records import utc_now
from parrot_core.recipe import Engine, OpenAIEngine, Sampling
from parrot_core.telemetry.execution_context import in_context
from parrot_core.telemetry.tracing import request_span
from parrot_core.telemetry.traffic import Traffic

if TYPE_CHECKING:
    from parrot_core.engines.connection import Engines


@dataclass(frozen=True, slots=True)
class Connected:
    """One engine of the recipe, ready to be asked."""

    chat: OpenAIChat
    settings: Engine
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
        suspects: frozenset[str],
        traffic: Traffic,
    ) -> None:
        """See :meth:`Engines.journaled`."""
        self._suspects = suspects
        self._traffic = traffic
        self._name = name
        self._connected = connected
        self._engines = engines
        self._journal = journal
        self._seed = seed
        batches = connected.batches
        self._orders: ShardOrders | None = batches.begin(shard) if batches else None

    @property
    def name(self) -> str:
        """Its name in the recipe."""
        return self._name

    @property
    def model(self) -> str:
        """The model it runs: a name at a provider, or a version in the lake."""
        return self._connected.model

    async def complete(
        self, messages: Sequence[Message], sampling: Sampling, *, sample: str
    ) -> Completion:
        """See :class:`engines.types.ChatModel`."""
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
        settings = self._connected.settings
        field = settings.max_tokens_field if isinstance(settings, OpenAIEngine) else None
        body = request_body(
            self.model,
            as_messages(messages),
            sampling,
            sampling_seed(self._seed, sample),
            field or "max_completion_tokens",
        )
        key = request_key(self._connected.endpoint, body, sample)
        entry = self._journal.get(key)
        asked.set_attributes({"parrot.sample": sample, "parrot.replayed": entry is not None})
        if entry is None:
            entry = await self._buy(key, body, sample, sampling.max_tokens, asked)
            await self._journal.record(entry)
            self._engines.budget.journaled(entry.usd)
            _end_if_cancelled()
            if self._orders is not None:
                self._engines.tell(self._orders.taken, key)
        if entry.finish_reason == "content_filter":  # journaled: it was paid for as well
            raise ContentFiltered(f"engine '{self._name}' cut the completion: content filter")
        return Completion(
            text=entry.text,
            finish_reason=entry.finish_reason,
            usage=Usage(entry.prompt_tokens, entry.completion_tokens, 1),
            engine=entry.engine,
            model=entry.model,
            request_key=key,
        )

    async def _buy(
        self, key: str, body: dict[str, Any], sample: str, max_tokens: int, asked: Span
    ) -> Entry:
        if self._orders is not None:  # a batch has no limiter to hold it
            await self._engines.run(self._engines.may_buy())
            self._traffic.in_flight += 1
            try:
                answer, usd = await self._engines.run(self._orders.send(body, max_tokens, key))
            finally:
                self._traffic.in_flight -= 1
        else:
            purchase = Purchase(self._traffic)
            suspect = key in self._suspects
            send = self._connected.chat.send(body, max_tokens, sample, purchase, suspect=suspect)
            try:
                answer, usd = await self._engines.buy(send, purchase)
            except RequestFails as error:
                if self._suspects:
                    raise ProviderError(str(error)) from error
                raise RequestFails(str(error), key) from error
            finally:
                asked.set_attribute("parrot.refusals", purchase.refusals)
                for probe in purchase.probes:
                    await self._keep(probe, f"{sample}/probe/{utc_now()}")
            asked.set_attribute("parrot.latency_s", purchase.latency_s)
        entry = self._entry(key, sample, answer, usd)
        self._traffic.truncated += entry.finish_reason == "length"
        return entry

    async def _keep(self, probe: Probe, sample: str) -> None:
        """Journal a probe: nobody needs its answer again, but it was paid for."""
        key = request_key(self._connected.endpoint, probe.body, sample)
        await self._journal.record(self._entry(key, sample, probe.answer, probe.usd))
        self._engines.budget.journaled(probe.usd)

    def _entry(self, key: str, sample: str, answer: ChatCompletion, usd: float) -> Entry:
        text, finish_reason = text_of(answer)
        return Entry(
            key=key,
            sample=sample,
            engine=self._name,
            model=self.model,
            text=text,
            finish_reason=finish_reason,
            prompt_tokens=answer.usage.prompt_tokens if answer.usage else 0,
            completion_tokens=answer.usage.completion_tokens if answer.usage else 0,
            usd=usd,
            created_at=utc_now(),
        )


def _end_if_cancelled() -> None:
    """Go on with a cancellation that waited until a paid answer was kept."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
