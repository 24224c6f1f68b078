"""What a provider lets us do: requests in flight, requests and tokens a minute, money.

All of it lives on one event loop (see ``engines/connection``), so nothing here locks.
"""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from parrot_core.engines.types import BudgetReached
from parrot_core.recipe import Limits, Price

Sleep = Callable[[float], Awaitable[None]]
Clock = Callable[[], float]


class TokenBucket:
    """So many units a minute, evenly: a request waits until its units are there."""

    def __init__(self, per_minute: int, clock: Clock = time.monotonic) -> None:
        """Start full for one second's worth."""
        self._rate = per_minute / 60
        self._clock = clock
        self._free_at = clock() - 1.0

    def reserve(self, units: float) -> float:
        """Take units; returns the seconds to wait before using them."""
        now = self._clock()
        self._free_at = max(self._free_at, now - 1.0)
        self._free_at += units / self._rate
        return max(0.0, self._free_at - now)

    def give_back(self, units: float) -> None:
        """Return units that were reserved but not used (negative: more were used)."""
        self._free_at -= units / self._rate


class Limiter:
    """One provider's limits, adaptive: halves its concurrency on a refusal, regrows with success.

    Additive increase, multiplicative decrease (Chiu and Jain 1989).
    """

    def __init__(
        self, limits: Limits, clock: Clock = time.monotonic, sleep: Sleep = asyncio.sleep
    ) -> None:
        """Start at the recipe's concurrency."""
        self._most = limits.concurrency
        self.window = float(limits.concurrency)
        self.in_flight = 0
        self._free = asyncio.Condition()
        self._sleep = sleep
        self._clock = clock
        self._quiet_until = 0.0
        self._requests = (
            TokenBucket(limits.requests_per_minute, clock) if limits.requests_per_minute else None
        )
        self._tokens = (
            TokenBucket(limits.tokens_per_minute, clock) if limits.tokens_per_minute else None
        )

    @asynccontextmanager
    async def slot(self, tokens: int) -> AsyncIterator[None]:
        """Hold one request's place, after waiting for all limits.

        Args:
            tokens: expected tokens of prompt and completion.
        """
        async with self._free:
            await self._free.wait_for(lambda: self.in_flight < max(1, int(self.window)))
            self.in_flight += 1
        try:
            waits = [self._quiet_until - self._clock()]
            if self._requests:
                waits.append(self._requests.reserve(1))
            if self._tokens:
                waits.append(self._tokens.reserve(tokens))
            if (wait := max(waits)) > 0:
                await self._sleep(wait)
            yield
        finally:
            async with self._free:
                self.in_flight -= 1
                self._free.notify_all()

    def succeeded(self, expected_tokens: int, used_tokens: int) -> None:
        """Note a completion: the window grows by one for each window's worth of them."""
        self.window = min(float(self._most), self.window + 1 / max(1.0, self.window))
        if self._tokens:
            self._tokens.give_back(expected_tokens - used_tokens)

    def refused(self, retry_after: float | None) -> None:
        """Note a 429 or 5xx: halve the window, and keep quiet for as long as we are told."""
        self.window = max(1.0, self.window / 2)
        if retry_after:
            self._quiet_until = max(self._quiet_until, self._clock() + retry_after)


class Budget:
    """A hard stop before the money is spent: reserve the worst case, settle what it was.

    Shared by all engines of a run in this process.
    """

    def __init__(self, cap_usd: float | None, spent_usd: float = 0.0) -> None:
        """``spent_usd`` is what the run has cost before; None as a cap never stops."""
        self.cap_usd = cap_usd
        self.spent_usd = spent_usd
        self._reserved = 0.0
        self._lock = threading.Lock()

    def reserve(self, worst_usd: float) -> None:
        """Put the worst case aside.

        Raises:
            BudgetReached: it could pass the cap.
        """
        with self._lock:
            committed = self.spent_usd + self._reserved
            if self.cap_usd is not None and committed + worst_usd > self.cap_usd:
                raise BudgetReached(self.spent_usd, self.cap_usd)
            self._reserved += worst_usd

    def settle(self, worst_usd: float, actual_usd: float) -> None:
        """Replace a reservation by what was charged (zero for a failed request)."""
        with self._lock:
            self._reserved -= worst_usd
            self.spent_usd += actual_usd


def cost_usd(price: Price | None, prompt_tokens: int, completion_tokens: int) -> float:
    """Dollars for so many tokens."""
    if price is None:
        return 0.0
    return (
        prompt_tokens * price.input_per_million + completion_tokens * price.output_per_million
    ) / 1e6
