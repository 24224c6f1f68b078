"""The circuit breaker: stops requests to a provider that refuses them all, and probes it.

Nygard, "Release It!" (2007). Closed, everything passes. After ``pause_after_s`` in which nothing
was answered and at least three requests were refused it opens: one request at a time is let
through as a probe, at growing intervals, until one is answered.
"""

import math
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from parrot_core.engines.types import ProviderRefuses
from parrot_core.recipe import Limits

FIRST_PROBE_S = 5.0
LONGEST_PROBE_S = 120.0
LONGEST_BUSY_PROBE_S = 15.0
"""A provider that is only busy is there: what is left of a run needn't wait for longer."""
FEWEST_PROBES = 8
"""The longest pause is no end before so many tries, however short the recipe makes it."""
FEWEST_REFUSALS = 3
"""One unlucky request among few is no outage."""

Clock = Callable[[], float]


def wall_clock() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Pause:
    """Why an engine stands still, for people and for the run's records."""

    engine: str
    why: str  # "HTTP 429"
    since: datetime
    next_try: datetime

    def __str__(self) -> str:
        return (
            f"paused: provider of '{self.engine}' refuses, {self.why} since "
            f"{self.since:%H:%M:%S} UTC, next try {self.next_try:%H:%M:%S} UTC"
        )


class Breaker:
    """One engine's circuit breaker. Lives on one event loop; read from any thread."""

    def __init__(
        self,
        engine: str,
        limits: Limits,
        clock: Clock = time.monotonic,
        now: Callable[[], datetime] = wall_clock,
        rng: random.Random | None = None,
    ) -> None:
        """Closed at first; ``limits.max_pause_s`` of 0 keeps it so."""
        self._engine = engine
        self._limits = limits
        self._clock = clock
        self._now = now
        self._rng = rng or random.Random()
        self._since: tuple[float, datetime] | None = None  # first refusal without an answer after
        self._why = ""
        self._refusals = 0
        self._opened = 0.0
        self._probing = False
        self._next_probe = 0.0
        self._most_interval = limits.max_pause_s / FEWEST_PROBES
        self._interval = self._first_interval = min(FIRST_PROBE_S, self._most_interval)
        self.pause: Pause | None = None
        self.pauses = 0  # how often it opened

    def wait(self) -> float:
        """Seconds until a request may go; infinite while a probe is in flight.

        Raises:
            ProviderRefuses: nothing was answered for ``max_pause_s``.
        """
        if self.pause is None:
            return 0.0
        self._end_if_too_long()
        if self._probing:
            return math.inf
        return max(0.0, self._next_probe - self._clock())

    def probes(self) -> bool:
        """Note that a request goes now; whether it is a probe."""
        self._probing = self.pause is not None
        return self._probing

    def answered(self) -> None:
        """Note an answer, be it a refusal of one row: the provider is there."""
        self._since = None
        self._refusals = 0
        self._interval = self._first_interval
        self._probing = False
        self.pause = None

    def refused(
        self, why: str, retry_after: float | None = None, *, probe: bool = False, busy: bool = False
    ) -> None:
        """Note a 429 (``busy``), a 5xx or a broken connection."""
        if self._limits.max_pause_s == 0:
            return
        moment = self._clock()
        if self._since is None:
            self._since = (moment, self._now())
        self._why = why
        self._refusals += 1
        asked_wait_s = retry_after or 0.0
        if self.pause is not None:
            if probe:
                longest = LONGEST_BUSY_PROBE_S if busy else LONGEST_PROBE_S
                self._interval = min(longest, self._most_interval, 2 * self._interval)
                self._plan_probe(asked_wait_s)
        elif (
            self._refusals >= FEWEST_REFUSALS
            and moment - self._since[0] >= self._limits.pause_after_s
        ) or asked_wait_s >= self._limits.pause_after_s:
            self._opened = moment
            self.pauses += 1
            self._plan_probe(asked_wait_s)

    def dropped(self) -> None:
        """Note that a probe was cancelled: the next request takes its place."""
        self._probing = False

    def _plan_probe(self, asked_wait_s: float) -> None:
        assert self._since is not None
        wait = max(asked_wait_s, self._interval) * self._rng.uniform(1.0, 1.25)
        self._probing = False
        self._next_probe = self._clock() + wait
        at = datetime.fromtimestamp(self._now().timestamp() + wait, UTC)
        self.pause = Pause(self._engine, self._why, self._since[1], at)

    def _end_if_too_long(self) -> None:
        if self._clock() - self._opened > self._limits.max_pause_s:
            raise ProviderRefuses(
                f"engine '{self._engine}' was paused for {self._limits.max_pause_s:.0f} s "
                f"(max_pause_s): its provider answers nothing, lately with {self._why}. Run the "
                "same command again to go on; nothing is lost"
            )
