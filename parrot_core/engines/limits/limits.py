"""What a provider lets us do: requests in flight, and requests and tokens a minute.

All of it lives on one event loop (see ``engines/connection``), so nothing here locks.
"""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass

from parrot_core.engines.limits.breaker import Breaker
from parrot_core.engines.limits.budget import Budget, cost_usd
from parrot_core.recipe import Limits

__all__ = ["Budget", "Limiter", "Share", "Ticket", "TokenBucket", "cost_usd"]

Sleep = Callable[[float], Awaitable[None]]
Clock = Callable[[], float]

LOOK_AGAIN_S = 1.0
"""A request that waits for a moment in time looks again this often: limits may have changed."""

TOLERATED = 0.15
"""Share of recent requests that a provider may refuse before it counts as congested."""

RECENT = 64
"""So many requests are recent: eleven refusals in a row are congestion, four of 64 are none."""


class TokenBucket:
    """So many units a minute, evenly, with at most one second's worth at once."""

    def __init__(self, per_minute: float, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._rate = 0.0
        self._level = math.inf
        self._at = clock()
        self.set_rate(per_minute)

    def set_rate(self, per_minute: float) -> None:
        """Change the rate; what is owed stays owed."""
        self._refill()
        # A minute and the second's burst before it hold 61 seconds' worth.
        self._rate = per_minute / 61
        self._level = min(self._level, self._rate)

    def wait(self, units: float) -> float:
        """Seconds until so many units may be taken; infinite at a rate of zero."""
        if self._rate <= 0:
            return math.inf
        self._refill()
        lacking = min(units, self._rate) - self._level
        return lacking / self._rate if lacking > 1e-9 else 0.0

    def take(self, units: float) -> None:
        """Take units, after :meth:`wait`; more than one second's worth leaves a debt."""
        self._refill()
        self._level -= units

    def give_back(self, units: float) -> None:
        """Return units that were taken but not used (negative: more were used)."""
        self._refill()
        self._level = min(self._rate, self._level + units)

    def _refill(self) -> None:
        now = self._clock()
        self._level = min(self._rate, self._level + (now - self._at) * self._rate)
        self._at = now


@dataclass(frozen=True, slots=True)
class Ticket:
    """One request that was let go."""

    number: int
    probe: bool


@dataclass(frozen=True, slots=True)
class Share:
    """The part of a provider's limits that is this worker's; None is unlimited."""

    concurrency: int
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None

    @classmethod
    def whole(cls, limits: Limits) -> "Share":
        return cls(limits.concurrency, limits.requests_per_minute, limits.tokens_per_minute)

    @classmethod
    def nothing(cls, limits: Limits) -> "Share":
        """None of it: requests wait."""
        return cls(
            0,
            None if limits.requests_per_minute is None else 0.0,
            None if limits.tokens_per_minute is None else 0.0,
        )


class Limiter:
    """One provider's limits, adaptive: halves its window on refusals, regrows with success.

    Additive increase, multiplicative decrease (Chiu and Jain 1989), once a round trip: refusals
    of requests that were under way when the window was halved don't halve it again. A refusal now
    and then is no congestion and holds back its own request alone: the window answers to more
    than ``TOLERATED`` of the recent requests, or 5 % of random 429s would shrink it to a tenth,
    as random loss does to TCP (Mathis et al. 1997; measured by bench/loop.py). Requests wait
    in one line, holding nothing; the first goes when window, rates, the provider's Retry-After
    and the circuit breaker all let it.
    """

    def __init__(
        self,
        limits: Limits,
        clock: Clock = time.monotonic,
        sleep: Sleep = asyncio.sleep,
        breaker: Breaker | None = None,
    ) -> None:
        """Start with all of the limits; see :meth:`set_share`."""
        self.limits = limits
        self.breaker = breaker or Breaker("engine", limits, clock)
        self.share = Share.whole(limits)
        self._until = math.inf
        self.held = ""  # why nothing may go out, in words; empty while requests may
        self.window = float(limits.concurrency)
        self.in_flight = 0
        self.waiting = 0
        self._wanted_at = clock()
        self._sent = 0
        self._halved_at = 0  # number of the last request sent before the window was halved
        self._refusals = 0.0  # moving average: the share of recent requests that were refused
        self._line = asyncio.Lock()
        self._front = asyncio.Lock()  # who stands first in the line, and those who were refused
        self._changed = asyncio.Event()
        self._sleep = sleep
        self._clock = clock
        self._quiet_until = -math.inf
        self._requests = self._bucket(limits.requests_per_minute)
        self._tokens = self._bucket(limits.tokens_per_minute)

    def set_share(self, share: Share, until: float = math.inf) -> None:
        """Use this part of the limits until a time of the clock; what is in flight stays."""
        self._until = until
        if share == self.share:
            return
        untouched = self.window >= self.share.concurrency
        self.share = share
        most = float(share.concurrency)
        self.window = most if untouched else min(self.window, most)
        if self._requests is not None and share.requests_per_minute is not None:
            self._requests.set_rate(share.requests_per_minute)
        if self._tokens is not None and share.tokens_per_minute is not None:
            self._tokens.set_rate(share.tokens_per_minute)
        self._changed.set()

    @property
    def idle_s(self) -> float:
        """Seconds since a request was in flight, or waited to be."""
        busy = self.in_flight or self.waiting
        return 0.0 if busy else self._clock() - self._wanted_at

    @asynccontextmanager
    async def slot(self, tokens: int, *, again: bool = False) -> AsyncIterator[Ticket]:
        """Hold one request's place, after waiting for all limits.

        Args:
            again: it was refused before, so it has waited in the line already: it goes to the
                front, or its session would fall behind all others by a whole line.

        Raises:
            ProviderRefuses: the provider was paused for too long.
        """
        self.waiting += 1
        try:
            async with nullcontext() if again else self._line, self._front:
                while (wait := self._wait(tokens)) > 0:
                    if wait == math.inf:
                        self._changed.clear()
                        await self._changed.wait()
                    else:
                        await self._sleep(min(wait, LOOK_AGAIN_S))
                ticket = self._let_go(tokens)
        finally:
            self.waiting -= 1
            self._wanted_at = self._clock()
        try:
            yield ticket
        finally:
            self.in_flight -= 1
            self._wanted_at = self._clock()
            if ticket.probe:
                self.breaker.dropped()
            self._changed.set()

    def succeeded(self, expected_tokens: int, used_tokens: int) -> None:
        """Note a completion: the window grows by one for each window's worth of them."""
        most = float(self.share.concurrency)
        self.window = min(most, self.window + 1 / max(1.0, self.window))
        self._refusals -= self._refusals / RECENT
        if self._tokens is not None:
            self._tokens.give_back(expected_tokens - used_tokens)
        self.breaker.answered()

    def refused(
        self, ticket: Ticket, why: str, retry_after: float | None, *, busy: bool = False
    ) -> None:
        """Note a 429 or 5xx; when they are many, halve the window and keep quiet as we are told."""
        self._refusals += (1 - self._refusals) / RECENT
        if ticket.number > self._halved_at and self._refusals > TOLERATED:
            self.window = max(1.0, self.window / 2)
            self._halved_at = self._sent
            self._refusals = TOLERATED  # the next one counts, unless answers come between
        if retry_after and ticket.number <= self._halved_at:
            self._quiet_until = max(self._quiet_until, self._clock() + retry_after)
        self.breaker.refused(why, retry_after, probe=ticket.probe, busy=busy)

    def hold(self, why: str) -> None:
        """Let nothing go out as long as ``why`` says something; what is in flight stays."""
        self.held = why
        self._changed.set()

    def _wait(self, tokens: int) -> float:
        """Seconds until the first in the line may go; infinite until something changes."""
        if self.held:
            return math.inf
        if self.in_flight >= min(self.share.concurrency, max(1, int(self.window))):
            return math.inf
        if self._clock() > self._until:
            return LOOK_AGAIN_S
        return max(
            self.breaker.wait(),
            self._quiet_until - self._clock(),
            self._requests.wait(1) if self._requests is not None else 0.0,
            self._tokens.wait(tokens) if self._tokens is not None else 0.0,
        )

    def _let_go(self, tokens: int) -> Ticket:
        self.in_flight += 1
        self._sent += 1
        if self._requests is not None:
            self._requests.take(1)
        if self._tokens is not None:
            self._tokens.take(tokens)
        return Ticket(self._sent, self.breaker.probes())

    def _bucket(self, per_minute: int | None) -> TokenBucket | None:
        return None if per_minute is None else TokenBucket(per_minute, self._clock)
