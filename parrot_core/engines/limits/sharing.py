"""One budget for all workers of a run: limits and money, shared over the lake alone.

Every worker keeps a record in the lake that says what it claims. It uses no more than it has
claimed in writing, and no more than the claims of the others, read *after* that write, leave. A
worker that has nothing to ask a model leaves its share to those whose requests wait. Of any two
workers one reads after the other has written; so the sum stays within the limit whoever comes, goes
or dies at any moment, without a lock, a service or synchronous clocks. Claims move towards equal
parts at each beat. A worker that can't reach the lake stops using its share well before the others
take it over.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextvars import copy_context

from parrot_core.engines.limits.budget import Budget
from parrot_core.engines.limits.limits import Limiter, Share
from parrot_core.errors import StorageError
from parrot_core.lake.spending import Spending
from parrot_core.lake.workers import LimitClaim, WorkerRecord, Workers
from parrot_core.recipe import Limits

logger = logging.getLogger(__name__)

BEAT_S = 3.0
SOON_S = 0.5
"""Time to the next beat while this worker still waits for others to make room."""

VALID_S = 10.0
"""A share is used for so long after the beat that gave it; the others wait for twice as long."""

IDLE_S = 3.0
"""After so long without a request a worker leaves its share to those whose requests wait."""

LOW_SHARE = 0.25
"""Part of its fair share of the money below which a worker reckons anew."""


def give_here(limiter: Limiter, share: Share, until: float) -> int:
    """Give a limiter of this very thread its share; returns the requests in flight."""
    limiter.set_share(share, until)
    return limiter.in_flight


class Sharing:
    """This worker's part of the run's limits and money. Beats in a thread of its own."""

    def __init__(
        self,
        workers: Workers,
        limiters: Mapping[str, Limiter],
        budget: Budget,
        spending: Spending,
        give: Callable[[Limiter, Share, float], int] = give_here,
        paused: Callable[[], Mapping[str, str]] = dict,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Nothing is claimed yet.

        Args:
            limiters: the limits to share, by model at a provider; the same names in all workers.
            budget: the run's money, as far as this worker may spend it.
            give: gives a limiter its share until a time, on the limiter's own thread; returns
                the requests in flight.
        """
        self._workers = workers
        self._limiters = limiters
        self._budget = budget
        self._spending = spending
        self._give = give
        self._paused = paused
        self._clock = clock
        self._others: list[WorkerRecord] = []
        self._reckoned_with: frozenset[str] | None = None
        self._left_then = 0.0  # of the cap, when last reckoned
        self._durable_then = 0.0  # of ours, at that time
        self._used = {name: Share.nothing(each.limits) for name, each in limiters.items()}
        self._claimed: dict[str, Share] = {}
        self._left: set[str] = set()  # models whose limits we have left to others
        self._beaten_at = -VALID_S
        self._stop = threading.Event()
        self._thread = threading.Thread(
            target=copy_context().run, args=(self._loop,), name="parrot-sharing", daemon=True
        )

    def start(self) -> None:
        """Claim a share, then keep it up to date. Alone, it is all there is.

        Raises:
            StorageError: the lake can't be reached.
        """
        for name, limiter in self._limiters.items():
            self._give(limiter, self._used[name], self._clock() + VALID_S)
        self._others = self._workers.others()
        self.beat()
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._budget.wanting.set()
        if self._thread.is_alive():
            self._thread.join()
        try:
            self._workers.leave()
        except (OSError, StorageError) as error:
            logger.warning("this worker's record could not be removed: %s", error)

    def beat(self) -> bool:
        """Claim, read, use; True when this worker has all that is its due."""
        asked = self._budget.wanting.is_set()
        self._budget.wanting.clear()
        for _ in range(2):  # what we read may change what is our due: then claim that at once
            began = self._clock()
            if began - self._beaten_at > VALID_S:
                self._reckoned_with = None  # we were taken for dead: our money has been freed
            self._claim(began + VALID_S)
            self._others = self._workers.others()
            settled = self._use(began + VALID_S, asked)
            self._beaten_at = began
            if all(self._due(name) == share for name, share in self._claimed.items()):
                break
        return settled

    def _claim(self, until: float) -> None:
        """Write the most that we shall use; use falls before its claim does."""
        claims: dict[str, LimitClaim] = {}
        for name, limiter in self._limiters.items():
            due = self._due(name)
            self._used[name] = _least(self._used[name], due)
            in_flight = self._give(limiter, self._used[name], until)
            self._claimed[name] = due
            if self._makes_room(name) and not in_flight:
                continue
            claims[name] = LimitClaim(
                concurrency=max(due.concurrency, in_flight),
                requests_per_minute=due.requests_per_minute,
                tokens_per_minute=due.tokens_per_minute,
            )
        claim_usd = self._budget.claim(self._fair_usd())
        update = {
            "claims": claims,
            "claim_usd": claim_usd,
            "paused": dict(self._paused()),
            "waiting": [name for name, each in self._limiters.items() if each.waiting],
        }
        self._workers.say(self._workers.me.model_copy(update=update))

    def _use(self, until: float, asked: bool) -> bool:
        """Use what we claimed, as far as the others' claims leave it; True when that is our due."""
        settled = True
        for name, limiter in self._limiters.items():
            due = self._due(name)
            theirs = [each.claims[name] for each in self._others if name in each.claims]
            left = _left(limiter.limits, theirs)
            self._used[name] = _least(_least(self._claimed[name], left), due)
            self._give(limiter, self._used[name], until)
            settled = settled and self._used[name] == due
        if self._budget.cap_usd is not None and self._must_reckon(asked):
            settled = self._reckon(asked) and settled
        return settled

    def _must_reckon(self, asked: bool) -> bool:
        """Whether to read what all have spent: costs a listing, so only when it matters."""
        if asked or frozenset(each.id for each in self._others) != self._reckoned_with:
            return True
        return bool(self._others) and self._budget.free_usd < LOW_SHARE * self._fair_usd()

    def _reckon(self, asked: bool) -> bool:
        """Share out what is left of the cap. The claims were read before: so nothing is missed."""
        assert self._budget.cap_usd is not None
        durable = self._budget.durable_usd
        spent = self._spending.total()
        claimed = sum(each.claim_usd for each in self._others)
        first = self._reckoned_with is None
        self._left_then, self._durable_then = max(0.0, self._budget.cap_usd - spent), durable
        self._reckoned_with = frozenset(each.id for each in self._others)
        if first:  # the claim in writing was of nothing: make one, and read again
            self._claim(self._clock() + VALID_S)
            self._others = self._workers.others()
            return self._reckon(asked)
        before = spent - durable
        self._budget.share(
            ceiling=self._budget.cap_usd - before - claimed,
            hoped=durable + self._left_then / self._members,
            before=before,
            asked=asked,
        )
        return self._budget.free_usd >= LOW_SHARE * self._fair_usd()

    def _fair_usd(self) -> float:
        """Our equal part of what is left, as far as we know without asking the lake."""
        ours_since = self._budget.durable_usd - self._durable_then
        return max(0.0, self._left_then - ours_since) / self._members

    @property
    def _members(self) -> int:
        return 1 + len(self._others)

    def _due(self, name: str) -> Share:
        """Our equal part of one model's limits among those who use it."""
        limits = self._limiters[name].limits
        if self._makes_room(name):
            return Share.nothing(limits)
        ids = sorted([self._workers.me.id, *(e.id for e in self._others if name in e.claims)])
        return part_of(limits, ids.index(self._workers.me.id), len(ids))

    def _makes_room(self, name: str) -> bool:
        """Whether others may have our share: from when they needed it until we do."""
        used = any(name in each.claims for each in self._others)
        if not used or self._limiters[name].idle_s <= IDLE_S:
            self._left.discard(name)
        elif any(name in each.waiting for each in self._others):
            self._left.add(name)
        return name in self._left

    def _loop(self) -> None:
        wait = BEAT_S
        while not self._stop.is_set():
            if self._budget.wanting.wait(wait):
                self._stop.wait(SOON_S)
            if self._stop.is_set():
                return
            try:
                settled = self.beat()
            except (OSError, StorageError) as error:
                logger.warning("limits could not be shared with other workers: %s", error)
                settled = False
            wait = BEAT_S if settled else min(BEAT_S, 1.5 * wait if wait < BEAT_S else SOON_S)


def part_of(limits: Limits, rank: int, members: int) -> Share:
    """The equal part of one of several workers; what doesn't divide goes to the first ones.

    Each worker may begin with one request at once, whatever its rate: hence one less a minute
    for each worker but one.
    """
    whole, over = divmod(limits.concurrency, members)
    requests, tokens = limits.requests_per_minute, limits.tokens_per_minute
    part: float | None = None
    if requests is not None:
        part = (requests - members + 1) / members
        if requests < members:
            part = float(requests) if rank == 0 else 0.0
    return Share(whole + (rank < over), part, None if tokens is None else tokens / members)


def _left(limits: Limits, claims: Sequence[LimitClaim]) -> Share:
    return Share(
        max(0, limits.concurrency - sum(claim.concurrency for claim in claims)),
        _rest(limits.requests_per_minute, [c.requests_per_minute for c in claims]),
        _rest(limits.tokens_per_minute, [c.tokens_per_minute for c in claims]),
    )


def _rest(limit: int | None, claims: Sequence[float | None]) -> float | None:
    if limit is None:
        return None
    rest = limit - sum(claim or 0.0 for claim in claims)
    return rest if rest > 1e-6 else 0.0


def _least(one: Share, other: Share) -> Share:
    return Share(
        min(one.concurrency, other.concurrency),
        _smaller(one.requests_per_minute, other.requests_per_minute),
        _smaller(one.tokens_per_minute, other.tokens_per_minute),
    )


def _smaller(one: float | None, other: float | None) -> float | None:
    """The smaller of two rates; what differs by rounding alone counts as the second."""
    if one is None or other is None:
        return None
    return other if one > other - 1e-6 else one
