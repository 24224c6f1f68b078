"""Any OpenAI-compatible chat API, through the ``openai`` client, with every failure typed."""

import asyncio
import random
from collections.abc import Sequence
from typing import Any

import openai
from openai.types.chat import ChatCompletion

from parrot_core.engines.limits import Budget, Limiter, Sleep, cost_usd
from parrot_core.engines.types import (
    ContentFiltered,
    ContextFull,
    EngineError,
    EngineUnreachable,
    KeyRefused,
    Message,
    RequestRefused,
    RunError,
    ShardError,
)
from parrot_core.recipe import Limits, Price

CONTEXT_CODES = ("context_length_exceeded",)  # OpenAI's error code
CONTEXT_PARAMS = ("input_tokens", "input_text")  # the parameter that vLLM names
FILTER_CODES = ("content_filter", "content_policy_violation")
NO_CREDIT_CODES = ("insufficient_quota", "billing_hard_limit_reached")
LONGEST_BACKOFF_S = 60.0
CHARS_PER_TOKEN = 2.5  # low on purpose: the budget reserves the worst case


def worst_tokens(body: dict[str, Any], max_tokens: int) -> tuple[int, int]:
    """An upper estimate of prompt and completion tokens of a request, before it is sent."""
    chars = sum(len(m["content"].encode()) for m in body["messages"])
    return int(chars / CHARS_PER_TOKEN) + 8 * len(body["messages"]), max_tokens


class OpenAIChat:
    """One endpoint and model. Lives on one event loop, for all shards of a stage."""

    def __init__(
        self,
        name: str,
        client: openai.AsyncOpenAI,
        limits: Limits,
        limiter: Limiter,
        budget: Budget,
        price: Price | None = None,
        rng: random.Random | None = None,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        """``client`` must not retry by itself (``max_retries=0``): retries are counted here."""
        self.name = name
        self._client = client
        self._limits = limits
        self._limiter = limiter
        self._budget = budget
        self._price = price
        self._rng = rng or random.Random()
        self._sleep = sleep
        self._answered = False

    async def send(self, body: dict[str, Any], max_tokens: int) -> tuple[ChatCompletion, float]:
        """Send one request until it is answered or there is no point; returns it and its cost.

        Raises:
            RowError, ShardError, RunError: see ``engines.types``.
        """
        prompt, completion = worst_tokens(body, max_tokens)
        worst_usd = cost_usd(self._price, prompt, completion)
        for attempt in range(self._limits.max_retries + 1):
            async with self._limiter.slot(prompt + completion):
                self._budget.reserve(worst_usd)
                usd = 0.0
                try:
                    answer = await self._once(body)
                    usd = self._cost(answer, prompt)
                    self._limiter.succeeded(prompt + completion, _tokens(answer))
                    self._answered = True
                    return answer, usd
                except openai.APIError as error:
                    failure = self._typed(error)
                    if failure is not None:
                        raise failure from error
                    retry_after = _retry_after(error)
                    self._limiter.refused(retry_after)
                    last = error
                finally:
                    self._budget.settle(worst_usd, usd)
            if attempt < self._limits.max_retries:
                await self._sleep(self._backoff(attempt, retry_after))
        raise self._gave_up(last)

    async def _once(self, body: dict[str, Any]) -> ChatCompletion:
        known = {k: v for k, v in body.items() if k != "repetition_penalty"}
        extra = {k: v for k, v in body.items() if k == "repetition_penalty"}
        answer = await self._client.chat.completions.create(**known, extra_body=extra or None)
        assert isinstance(answer, ChatCompletion)
        return answer

    def _cost(self, answer: ChatCompletion, prompt_estimate: int) -> float:
        if answer.usage is None:
            return cost_usd(self._price, prompt_estimate, _tokens(answer))
        return cost_usd(self._price, answer.usage.prompt_tokens, answer.usage.completion_tokens)

    def _backoff(self, attempt: int, retry_after: float | None) -> float:
        """Full jitter over a doubling ceiling, and never less than we were told."""
        ceiling = min(LONGEST_BACKOFF_S, 0.5 * 2**attempt)
        return (retry_after or 0.0) + self._rng.uniform(0, ceiling)

    def _typed(self, error: openai.APIError) -> EngineError | None:
        """What a failure means, or None when it is worth another try."""
        where = f"engine '{self.name}' at {self._client.base_url}"
        if isinstance(error, openai.RateLimitError):
            if error.code in NO_CREDIT_CODES:
                return RunError(f"{where} has no credit left: {error.message}")
            return None
        if isinstance(error, openai.AuthenticationError | openai.PermissionDeniedError):
            return KeyRefused(f"{where} refuses the API key: HTTP {error.status_code}")
        if isinstance(error, openai.NotFoundError):
            return KeyRefused(f"{where} doesn't know this model or path: {error.message}")
        if isinstance(error, openai.APIStatusError) and error.status_code < 500:
            if error.status_code in (408, 409):
                return None
            if error.code in CONTEXT_CODES or error.param in CONTEXT_PARAMS:
                return ContextFull(f"{where}: {error.message}")
            if error.code in FILTER_CODES:
                return ContentFiltered(f"{where}: {error.message}")
            return RequestRefused(f"{where}: HTTP {error.status_code}: {error.message}")
        return None

    def _gave_up(self, error: openai.APIError) -> EngineError:
        where = f"engine '{self.name}' at {self._client.base_url}"
        tries = self._limits.max_retries + 1
        if isinstance(error, openai.APIConnectionError) and not self._answered:
            return EngineUnreachable(f"{where} can't be reached after {tries} tries: is it up?")
        status = getattr(error, "status_code", None)
        what = f"HTTP {status}" if status else type(error).__name__
        return ShardError(f"{where} failed {tries} times in a row, the last with {what}")


def _tokens(answer: ChatCompletion) -> int:
    return answer.usage.total_tokens if answer.usage else 0


def _retry_after(error: openai.APIError) -> float | None:
    """Seconds that the provider asks us to wait, from its headers."""
    if not isinstance(error, openai.APIStatusError):
        return None
    headers = error.response.headers
    for header, scale in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            return max(0.0, float(headers[header]) * scale)
        except (KeyError, ValueError):
            continue
    return None


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
