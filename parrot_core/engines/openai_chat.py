"""Any OpenAI-compatible chat API, through the ``openai`` client, with every failure typed."""

import asyncio
import email.utils
import logging
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import openai
from openai.types.chat import ChatCompletion

from parrot_core.engines.decisions import (
    FAILURES,
    NotACompletion,
    decide,
    kind_of,
    what_happened,
)
from parrot_core.engines.limits.budget import Budget, cost_usd
from parrot_core.engines.limits.limits import Clock, Limiter, Sleep, Ticket
from parrot_core.engines.request import PROBE_TOKENS, probe_body
from parrot_core.engines.types import (
    Decision,
    EngineUnreachable,
    Message,
    RequestFails,
    RequestRefused,
    RowError,
    ShardError,
)
from parrot_core.engines.vllm.replicas import Replicas, session_of
from parrot_core.recipe import Limits, Price
from parrot_core.telemetry.traffic import Traffic
from parrot_core.text.redaction import without_key

logger = logging.getLogger(__name__)

LONGEST_BACKOFF_S = 60.0
BYTES_PER_TOKEN = 2.5
"""Expected of a prompt; low on purpose, as a rate that is passed costs a refusal."""
MESSAGE_TOKENS = 8
"""What a chat template adds to one message, at most."""
MONEY_POLL_S = 0.1
FEW_LEFT = 3
"""With no more requests under way, that none is answered says little of the provider."""


def worst_tokens(body: dict[str, Any], max_tokens: int) -> tuple[int, int]:
    """Most tokens of prompt and completion: a token is at least a byte."""
    return _bytes(body) + MESSAGE_TOKENS * (len(body["messages"]) + 1), max_tokens


def expected_tokens(body: dict[str, Any], max_tokens: int) -> int:
    """What a request is likely to take from a limit of tokens a minute, and rather less."""
    return int(_bytes(body) / BYTES_PER_TOKEN) + MESSAGE_TOKENS * len(body["messages"]) + max_tokens


def _bytes(body: dict[str, Any]) -> int:
    return sum(len(m["content"].encode("utf-8", "surrogatepass")) for m in body["messages"])


@dataclass(frozen=True, slots=True)
class Probe:
    """A small request that was answered, to tell a request's own failure from an outage."""

    body: dict[str, Any]
    answer: ChatCompletion
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
        self.probes: list[Probe] = []  # answered, so paid for as well
        self.probe_refused = False  # what was to tell an outage tells nothing here

    def leave(self) -> None:
        """Nobody wants the answer any more: drop the request, or, if it is out, its next try."""
        self.left = True
        if self.task is not None and not self.out:
            self.task.cancel()


class OpenAIChat:
    """One endpoint and model. Lives on one event loop, for all shards of a stage."""

    def __init__(
        self,
        name: str,
        clients: Replicas[openai.AsyncOpenAI],
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
            name: the engine's name in the recipe.
            clients: one a replica; they must not retry by themselves (``max_retries=0``).
            limits: the recipe's; ``limiter`` enforces them, for all engines of this model.
            limiter: shared with the engines that reach the same model at the same provider.
            budget: the run's money.
            price: what tokens cost; None is nothing.
            still_there: raises when the server behind the engine has ended for good.
            rng: jitter.
            sleep: waits between tries.
            clock: seconds, for the latency of answers.
        """
        self.name = name
        self.limiter = limiter
        self._clients = clients
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

    async def send(
        self,
        body: dict[str, Any],
        max_tokens: int,
        sample: str = "",
        purchase: Purchase | None = None,
        *,
        suspect: bool = False,
    ) -> tuple[ChatCompletion, float]:
        """Send one request until it is answered or there is no point; returns it and its cost.

        ``purchase`` follows the request: see there. A ``suspect`` has failed for good before, while
        others were answered: it is given up even if nothing else is asked meanwhile.

        A refusal by the whole provider is waited out (see ``engines/breaker``). A request that
        fails again and again while others are answered ends with ``RequestFails``. Where there are
        hardly any others, a probe stands for them: see :meth:`_answers_a_probe`.

        Raises:
            RowError, ShardError, RunError: see ``engines.types``.
        """
        purchase = purchase or Purchase()
        purchase.task = asyncio.current_task()
        self._sending += 1
        try:
            return await self._send(body, max_tokens, sample, purchase, suspect)
        finally:
            self._sending -= 1

    async def _send(
        self,
        body: dict[str, Any],
        max_tokens: int,
        sample: str,
        purchase: Purchase,
        suspect: bool,
    ) -> tuple[ChatCompletion, float]:
        """See :meth:`send`."""
        answers, failures, attempt = self._answers, 0, 0
        while not purchase.left:
            outcome = await self._try(body, max_tokens, sample, purchase, again=attempt > 0)
            if not isinstance(outcome, _Failure):
                return outcome
            if purchase.left:
                break
            self._still_there()
            purchase.refusals += outcome.busy
            impatient = self._limits.max_pause_s == 0
            failures += impatient or not outcome.busy
            if failures > self._limits.max_retries:
                its_own = suspect or self._answers > answers
                doubtful = not (impatient or its_own or purchase.probe_refused)
                if (
                    doubtful
                    and self._sending <= FEW_LEFT
                    and await self._answers_a_probe(body, sample, purchase)
                ):
                    failures = 0  # the provider may have come back a moment ago
                elif not self._heard:
                    raise EngineUnreachable(
                        f"{self._where()} can't be reached after {failures} tries: is it up?"
                    )
                elif impatient or its_own:
                    error = RequestFails if its_own else ShardError
                    raise error(
                        f"{self._where()} failed {failures} times in a row, the last with "
                        f"{outcome.why}"
                    )
            pause_s = self._backoff(outcome, attempt)
            logger.debug("engine '%s': %s, next try in %.1f s", self.name, outcome.why, pause_s)
            await self._sleep(pause_s)
            attempt += 1
        raise asyncio.CancelledError

    async def _answers_a_probe(self, body: dict[str, Any], sample: str, purchase: Purchase) -> bool:
        """Whether the provider answers at all, asked with the smallest completion there is.

        The last request of a run that always fails looks like an outage: nothing else is
        answered, as nothing else is asked. ``GET /models`` would cost nothing, and proves
        nothing: it is answered in most outages.
        """
        small = probe_body(body)
        try:
            outcome = await self._try(small, PROBE_TOKENS, sample, purchase, again=True)
        except RowError:
            purchase.probe_refused = True
            return False
        if isinstance(outcome, _Failure):
            return False
        purchase.probes.append(Probe(small, *outcome))
        return True

    async def _try(
        self,
        body: dict[str, Any],
        max_tokens: int,
        sample: str,
        purchase: Purchase,
        *,
        again: bool,
    ) -> "tuple[ChatCompletion, float] | _Failure":
        """Send one request once; what is final is raised."""
        worst = worst_tokens(body, max_tokens)
        worst_usd = cost_usd(self._price, *worst)
        expected = expected_tokens(body, max_tokens)
        async with self.limiter.slot(expected, again=again) as ticket:
            while not self._budget.try_reserve(worst_usd):
                await self._sleep(MONEY_POLL_S)
            usd = 0.0
            address, client = self._clients.pick(session_of(sample))
            try:
                purchase.out = True
                purchase.traffic.in_flight += 1
                began = self._clock()
                answer = await self._once(client, body)
                purchase.latency_s = self._clock() - began
                purchase.traffic.answered(purchase.latency_s)
                taken = tokens_of(answer) or worst
                usd = cost_usd(self._price, *taken)
                self.limiter.succeeded(expected, sum(taken))
                self._answers += 1
                self._heard = True
                return answer, usd
            except FAILURES as error:
                failure = self._failed(error, ticket, address, client.api_key)
                purchase.traffic.failed(kind_of(error))
                return failure
            finally:
                purchase.out = False
                purchase.traffic.in_flight -= 1
                self._budget.settle(worst_usd, usd)

    def _failed(self, error: Exception, ticket: Ticket, address: str, key: str) -> "_Failure":
        """Note a failure where it counts; raise it if it is final."""
        verdict = decide(error)
        answered = not isinstance(error, openai.APIConnectionError)
        self._heard = self._heard or answered
        if verdict.error is not None:
            self.limiter.breaker.answered()
            said = without_key(_said(error), key)
            raise verdict.error(f"{self._where()}: {said}") from None  # it may repeat the key
        why, retry_after = what_happened(error), seconds_told(error)
        moved_on = (
            isinstance(error, openai.APIConnectionError)
            and not isinstance(error, openai.APITimeoutError)
            and self._clients.unreachable(address)
        )
        if not moved_on and verdict.decision is Decision.RETRY_LATER:
            self.limiter.refused(ticket, why, retry_after)
        busy = isinstance(error, openai.RateLimitError)
        return _Failure(verdict.decision, why, retry_after, busy)

    def _where(self) -> str:
        return f"engine '{self.name}' at {', '.join(self._clients.addresses)}"

    async def _once(self, client: openai.AsyncOpenAI, body: dict[str, Any]) -> ChatCompletion:
        """Send the body as it is: ``chat.completions.create`` would spend a third of the client's
        CPU time on walking through all messages to find parameters to rename (bench/loop.py).
        """
        answer: object = await client.post("/chat/completions", cast_to=ChatCompletion, body=body)
        if not isinstance(answer, ChatCompletion):  # the client hands over what isn't JSON as text
            raise NotACompletion
        return answer

    def _backoff(self, failure: "_Failure", attempt: int) -> float:
        """Full jitter over a doubling ceiling, and never less than we were told."""
        doublings = 0 if failure.decision is Decision.RETRY_NOW else min(attempt, 10)
        jitter = self._rng.uniform(0, min(LONGEST_BACKOFF_S, 0.5 * 2**doublings))
        return (failure.retry_after or 0.0) + jitter


@dataclass(frozen=True, slots=True)
class _Failure:
    """A failure that is worth another try."""

    decision: Decision
    why: str  # in words
    retry_after: float | None  # seconds that the provider told us to wait
    busy: bool  # a 429: nobody's fault, and never held against the request


def _said(error: Exception) -> str:
    if isinstance(error, openai.APIStatusError):
        return f"HTTP {error.status_code}: {error.message}"
    return str(error) or type(error).__name__


def seconds_told(error: Exception) -> float | None:
    """Seconds that the provider asks us to wait, from its headers: a number, or a date."""
    if not isinstance(error, openai.APIStatusError):
        return None
    headers = error.response.headers
    for header, scale in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            return max(0.0, float(headers[header]) * scale)
        except (KeyError, ValueError):
            continue
    try:  # by the provider's own clock, which may differ from ours
        then = email.utils.parsedate_to_datetime(headers["retry-after"])
        now = email.utils.parsedate_to_datetime(headers["date"])
        return max(0.0, (then - now).total_seconds())
    except (KeyError, ValueError, TypeError):
        return None


def tokens_of(answer: ChatCompletion) -> tuple[int, int] | None:
    """Tokens of prompt and completion, if the provider says so."""
    if answer.usage is None:
        return None
    taken = (answer.usage.prompt_tokens, answer.usage.completion_tokens)
    return taken if all(isinstance(number, int) for number in taken) else None


def text_of(answer: ChatCompletion) -> tuple[str, str]:
    """Text and finish reason of the first choice.

    Raises:
        RequestRefused: the provider sent no choice.
    """
    if not answer.choices:
        raise RequestRefused("the provider answered without a choice")
    choice = answer.choices[0]
    return (choice.message.content or "").strip(), choice.finish_reason or "stop"


def as_messages(messages: Sequence[Message]) -> list[Message]:
    """A copy that later turns of the session can't change."""
    return [{"role": m["role"], "content": m["content"]} for m in messages]
