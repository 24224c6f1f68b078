"""Any OpenAI-compatible chat API, with every failure typed, waited out or tried again."""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from parrot_core.engines.decisions import decide, kind_of, what_happened, what_was_said
from parrot_core.engines.endpoint import Endpoint
from parrot_core.engines.failures import ProviderFailure
from parrot_core.engines.limits.budget import Budget, cost_usd
from parrot_core.engines.limits.limits import Clock, Limiter, Sleep, Ticket
from parrot_core.engines.refusals import RefusalWatch, Signature
from parrot_core.engines.request import probe_body
from parrot_core.engines.response import Answer
from parrot_core.engines.shaping import advice, limit_in
from parrot_core.engines.token_counts import (
    expected_tokens,
    is_used_up,
    tokens_taken,
    used_up_words,
    worst_tokens,
)
from parrot_core.engines.types import (
    ContentFiltered,
    ContextFull,
    Decision,
    EngineError,
    EngineUnreachable,
    EveryRequestRefused,
    LimitUsedUp,
    ProviderError,
    RowError,
    ShardError,
)
from parrot_core.engines.vllm.replicas import Replicas, session_of
from parrot_core.errors import PicklableError
from parrot_core.recipe import Limits, Price
from parrot_core.telemetry.traffic import Traffic
from parrot_core.text.redaction import without_key

logger = logging.getLogger(__name__)

LONGEST_BACKOFF_S = 60.0
SHORTEST_CEILING_S = 10.0
BACKOFF_EACH_S = 4.0
"""Waiting requests together try about twice in so many seconds: the last few don't crawl."""
MONEY_POLL_S = 0.1
USED_UP: Signature = ("length",)
SHORT_REPLY = 512
"""A lower limit of tokens is for a short reply; one that thinks is asked again with more."""


@dataclass(frozen=True, slots=True)
class Paid:
    """An answer that was paid for beside the one that was wanted: it is kept, too."""

    body: dict[str, Any]
    answer: Answer
    usd: float


class Purchase:
    """One request on its way. Once it is out it is charged, whoever still wants the answer."""

    def __init__(self, traffic: Traffic | None = None) -> None:
        """``traffic`` counts the tries and what came of them."""
        self.traffic = traffic or Traffic()
        self.out = False
        self.left = False
        self.refusals = 0  # times that the provider was busy
        self.latency_s = 0.0  # of the answer, without the wait for a limit
        self.task: asyncio.Task[Any] | None = None
        self.paid: list[Paid] = []
        self.small_refused = False  # what was to tell an outage tells nothing here
        self.answers_before = 0  # that refusal, to whichever request

    def leave(self) -> None:
        """Nobody wants the answer any more: drop the request, or, if it is out, its next try."""
        self.left = True
        if self.task is not None and not self.out:
            self.task.cancel()


@dataclass(frozen=True, slots=True)
class _Request:
    body: dict[str, Any]
    max_tokens: int
    sample: str
    purchase: Purchase

    def small(self) -> "_Request":
        return _Request(probe_body(self.body), self.max_tokens, self.sample, self.purchase)


class OpenAIChat:
    """One endpoint and model. Lives on one event loop, for all shards of a stage."""

    def __init__(
        self,
        name: str,
        endpoints: Replicas[Endpoint],
        limits: Limits,
        limiter: Limiter,
        budget: Budget,
        price: Price | None = None,
        *,
        still_there: Callable[[], None] = lambda: None,
        rng: random.Random | None = None,
        sleep: Sleep = asyncio.sleep,
        clock: Clock = time.monotonic,
    ) -> None:
        """Connect nothing yet.

        Args:
            limits: the recipe's; ``limiter`` enforces them, for all engines of this model.
            limiter: shared with the engines that reach the same model at the same provider.
            budget: the run's money.
            price: what tokens cost; None is nothing.
            still_there: raises when the server behind the engine has ended for good.
        """
        self.name = name
        self.limiter = limiter
        self._endpoints = endpoints
        self._limits = limits
        self._budget = budget
        self._price = price
        self._still_there = still_there
        self._rng = rng or random.Random()
        self._sleep = sleep
        self._clock = clock
        self._answers = 0
        self._heard = False  # whether the provider ever said anything
        self._sending = 0
        self._refusals = RefusalWatch()
        self._small = asyncio.Lock()  # one small request stands for all that are in doubt
        self._hopeless: str | None = None

    async def send(
        self,
        body: dict[str, Any],
        max_tokens: int,
        sample: str = "",
        purchase: Purchase | None = None,
    ) -> tuple[Answer, float]:
        """Send one request until it is answered or there is no point; returns it and its cost.

        ``purchase`` follows the request: see there.

        An outage is waited out (see ``limits/breaker``). A request that fails more than
        ``max_retries`` times is given up, and its row with it, if a small one is answered then.
        A row that is refused is refused alone, too, unless a small request is refused in the same
        way: then the run stops.

        Raises:
            RowError, ShardError, RunError: see ``engines.types``.
        """
        request = _Request(body, max_tokens, sample, purchase or Purchase())
        request.purchase.task = asyncio.current_task()
        self._sending += 1
        try:
            answer, usd = await self._send(request)
            roomy = limit_in(body, max_tokens) >= SHORT_REPLY
            if roomy and is_used_up(answer.text, answer.finish_reason):
                await self._doubt(LimitUsedUp(""), USED_UP, request, Paid(body, answer, usd))
            return answer, usd
        finally:
            self._sending -= 1

    async def _send(self, request: _Request) -> tuple[Answer, float]:
        failures, attempt = 0, 0
        purchase, suspected = request.purchase, False
        while not purchase.left:
            try:
                outcome = await self._try(request, again=attempt > 0)
            except _Refused as refused:
                await self._doubt(refused.error, refused.signature, request)
                raise refused.error from None
            if not isinstance(outcome, _Failure):
                return outcome
            if purchase.left:
                break
            await asyncio.to_thread(self._still_there)
            purchase.refusals += outcome.busy
            failures += self._limits.max_pause_s == 0 or not outcome.busy
            if failures > self._limits.max_retries:
                if suspected:
                    raise ProviderError(self._gave_up(failures, outcome))
                suspected = await self._answers_small(request)
                if not suspected:
                    self._check_pausable(failures, outcome)
                    failures = 0
            paused = self.limiter.breaker.pause is not None  # then it says when to try again
            pause_s = 0.0 if paused else self._backoff(outcome, attempt)
            logger.debug("engine '%s': %s, next try in %.1f s", self.name, outcome.why, pause_s)
            await self._sleep(pause_s)
            attempt += 1
        raise asyncio.CancelledError

    async def _answers_small(self, request: _Request) -> bool:
        """Whether the provider answers the smallest question there is; then the request is at
        fault, should it fail once more.

        ``GET /models`` would cost nothing, and proves nothing: it is answered in most outages. A
        small request that is refused proves nothing either: then answers to others count.
        """
        answers = self._answers
        async with self._small:
            if self._answers > answers:  # while we waited
                return True
            if request.purchase.small_refused:
                return self._answers > request.purchase.answers_before
            small = request.small()
            try:
                outcome = await self._try(small, again=True)
            except _Refused:
                request.purchase.small_refused = True
                request.purchase.answers_before = self._answers
                return False
            if isinstance(outcome, _Failure):
                return False
            request.purchase.paid.append(Paid(small.body, *outcome))
            return True

    def _check_pausable(self, failures: int, last: "_Failure") -> None:
        """Whether the provider, which answers nothing, may be waited for."""
        if not self._heard:
            raise EngineUnreachable(
                f"{self._where()} can't be reached after {failures} tries: is it up? {last.said}"
            )
        if self._limits.max_pause_s == 0:
            raise ShardError(self._gave_up(failures, last))

    async def _doubt(
        self, error: EngineError, signature: Signature, request: _Request, paid: Paid | None = None
    ) -> None:
        """Ask whether a refusal is the row's own, with a small request where it may not be.

        Raises:
            EveryRequestRefused: the small one is refused in the same way.
        """
        if isinstance(error, ContentFiltered) or not isinstance(error, RowError):
            return
        row = session_of(request.sample)
        if not self._refusals.doubtful(signature, row):
            return
        try:
            async with self._small:
                if self._hopeless is None and self._refusals.doubtful(signature, row):
                    await self._ask_small(error, signature, request)
            if self._hopeless is not None:
                raise EveryRequestRefused(self._hopeless)
        except BaseException:
            request.purchase.paid += [paid] if paid is not None else []
            raise

    async def _ask_small(self, error: EngineError, signature: Signature, request: _Request) -> None:
        small = request.small()
        said = str(error)
        try:
            outcome = await self._try(small, again=True)
        except _Refused as refused:
            if refused.signature != signature:
                return
            if isinstance(error, ContextFull):
                said += ". Even a word is too long: lower max_tokens of this engine's sampling"
        else:
            if isinstance(outcome, _Failure):
                return
            request.purchase.paid.append(Paid(small.body, *outcome))
            if signature != USED_UP or not is_used_up(outcome[0].text, outcome[0].finish_reason):
                return
            said = f"{self._where()}: {used_up_words(request.body, request.max_tokens)}"
        self._hopeless = f"{said}. Every request is refused so, a small one too: no row is at fault"

    async def _try(self, request: _Request, *, again: bool) -> "tuple[Answer, float] | _Failure":
        """Send one request once; what is final is raised."""
        body, purchase = request.body, request.purchase
        worst = worst_tokens(body, request.max_tokens)
        worst_usd = cost_usd(self._price, *worst)
        expected = expected_tokens(body, request.max_tokens)
        async with self.limiter.slot(expected, again=again) as ticket:
            while not self._budget.try_reserve(worst_usd):
                await self._sleep(MONEY_POLL_S)
            usd = 0.0
            address, endpoint = self._endpoints.pick(session_of(request.sample))
            try:
                purchase.out = True
                purchase.traffic.in_flight += 1
                began = self._clock()
                answer = await endpoint.complete(body)
                purchase.latency_s = self._clock() - began
                purchase.traffic.answered(purchase.latency_s)
                taken = tokens_taken(answer, worst)
                usd = cost_usd(self._price, *taken)
                self.limiter.succeeded(expected, sum(taken))
                self._heard = True
                self._answers += 1
                if not is_used_up(answer.text, answer.finish_reason):
                    self._refusals.answered()
                return answer, usd
            except ProviderFailure as failure:
                outcome = self._failed(failure, ticket, address, endpoint, body)
                purchase.traffic.failed(kind_of(failure))
                return outcome
            finally:
                purchase.out = False
                purchase.traffic.in_flight -= 1
                self._budget.settle(worst_usd, usd)

    def _failed(
        self,
        failure: ProviderFailure,
        ticket: Ticket,
        address: str,
        endpoint: Endpoint,
        body: Mapping[str, Any],
    ) -> "_Failure":
        """Note a failure where it counts; raise it if it is final."""
        verdict = decide(failure)
        self._heard = self._heard or failure.answered
        said = without_key(what_was_said(failure), endpoint.key or "")  # it may repeat the key
        if verdict.error is not None:
            self.limiter.breaker.answered()
            words = [f"{self._where()}: {said}", advice(failure, body, self.name)]
            if failure.status in (404, 405) and "/v1" not in address:
                words.append(f"does base_url lack its /v1 ({address.rstrip('/')}/v1)?")
            error = verdict.error("; ".join(filter(None, words)))
            if isinstance(error, RowError):
                raise _Refused(error, failure.signature) from None
            raise error from None
        why = what_happened(failure)
        moved_on = failure.kind == "connection" and self._endpoints.unreachable(address)
        if not moved_on and verdict.decision is Decision.RETRY_LATER:
            self.limiter.refused(ticket, why, failure.retry_after, busy=failure.busy)
        return _Failure(verdict.decision, why, said, failure.retry_after, failure.busy)

    def _gave_up(self, failures: int, last: "_Failure") -> str:
        return f"{self._where()} failed {failures} times in a row, the last with {last.said}"

    def _where(self) -> str:
        return f"engine '{self.name}' at {', '.join(self._endpoints.addresses)}"

    def _backoff(self, failure: "_Failure", attempt: int) -> float:
        """Full jitter over a doubling ceiling, and never less than we were told.

        The fewer requests wait, the lower the ceiling ends: so few are no load.
        """
        doublings = 0 if failure.decision is Decision.RETRY_NOW else min(attempt, 10)
        longest = max(SHORTEST_CEILING_S, min(LONGEST_BACKOFF_S, BACKOFF_EACH_S * self._sending))
        jitter = self._rng.uniform(0, min(longest, 0.5 * 2**doublings))
        return (failure.retry_after or 0.0) + jitter


@dataclass(frozen=True, slots=True)
class _Failure:
    """A failure that is worth another try."""

    decision: Decision
    why: str  # in words
    said: str  # by the provider
    retry_after: float | None  # seconds that the provider told us to wait
    busy: bool  # a 429: nobody's fault, and never held against the request


class _Refused(PicklableError):
    """A row's request was refused for good, as far as can be seen yet."""

    def __init__(self, error: RowError, signature: Signature) -> None:
        self.error = error
        self.signature = signature
        super().__init__(str(error))
