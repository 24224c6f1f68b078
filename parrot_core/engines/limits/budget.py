"""Money: a hard stop before the cap, for one process or for a share of several workers' cap."""

import threading

from parrot_core.engines.types import BudgetReached
from parrot_core.recipe import Price


class Budget:
    """Reserves the worst case of a request before it is sent, settles what it was.

    Three sums only ever grow by what this process does: *committed* (answered, or in flight at
    its worst case), *answered*, and *durable* (answered and journaled, so that every worker can
    read it in the lake). Committed never passes the ceiling. Alone, the ceiling is the cap less
    what was spent before; with others, ``engines/sharing`` sets it.
    """

    def __init__(self, cap_usd: float | None, spent_usd: float = 0.0) -> None:
        """``spent_usd`` is what the run has cost before; None as a cap never stops."""
        self.cap_usd = cap_usd
        self._before = spent_usd
        self._committed = 0.0
        self._answered = 0.0
        self._durable = 0.0
        self._open = 0
        self._lock = threading.Lock()
        self._ceiling = cap_usd - spent_usd if cap_usd is not None else 0.0
        self._claimed = 0.0  # highest ceiling that our claim in writing allows
        self._hoped: float | None = None  # ceiling once others have made room; None: alone
        self._final = False  # whether the shares were reckoned after we asked for more
        self.wanting = threading.Event()
        """Set while a request waits for money; cleared by whoever looks for more."""

    @property
    def spent_usd(self) -> float:
        """What the run has cost, as far as this process knows."""
        return self._before + self._answered

    @property
    def durable_usd(self) -> float:
        """What this process has spent and journaled."""
        return self._durable

    @property
    def free_usd(self) -> float:
        return max(0.0, self._ceiling - self._committed)

    def reserve(self, worst_usd: float) -> None:
        """Put the worst case aside now.

        Raises:
            BudgetReached: it could pass the cap.
        """
        with self._lock:
            if not self._fits(worst_usd):
                assert self.cap_usd is not None
                raise BudgetReached(self.spent_usd, self.cap_usd)
            self._take(worst_usd)

    def try_reserve(self, worst_usd: float) -> bool:
        """Put the worst case aside, or return False when there may be room a little later.

        There may be while requests are in flight, whose worst case seldom comes true, or other
        workers give money back.

        Raises:
            BudgetReached: there won't be.
        """
        with self._lock:
            if self._fits(worst_usd):
                self._take(worst_usd)
                return True
            assert self.cap_usd is not None
            if self._open == 0:
                hopeless = self._hoped is None or self._committed + worst_usd > self._hoped
                if hopeless and (self._final or self._hoped is None):
                    raise BudgetReached(self.spent_usd, self.cap_usd)
                self.wanting.set()
            return False

    def claim(self, fair_usd: float) -> float:
        """Lower the ceiling to a fair share; returns the most that may still become durable.

        What is in flight already can't be taken back, and is part of it.
        """
        if self.cap_usd is None:
            return 0.0
        with self._lock:
            claimed = max(fair_usd, self._committed - self._durable)
            self._claimed = self._durable + claimed
            self._ceiling = min(self._ceiling, self._claimed)
            return claimed

    def share(self, ceiling: float, hoped: float, before: float, *, asked: bool) -> None:
        """Take this worker's share of the cap, no more than was claimed in writing.

        Args:
            ceiling: what this process may commit in all, as far as the others' claims leave it.
            hoped: what it may hope to commit in all, once the others have made room.
            before: what the run had spent but for this process, in dollars.
            asked: whether this was reckoned after ``wanting`` was set.
        """
        with self._lock:
            self._ceiling = min(ceiling, self._claimed)
            self._hoped = hoped
            self._before = before
            self._final = asked

    def _fits(self, worst_usd: float) -> bool:
        return self.cap_usd is None or self._committed + worst_usd <= self._ceiling

    def _take(self, worst_usd: float) -> None:
        self._committed += worst_usd
        self._open += 1
        self._final = False

    def settle(self, worst_usd: float, actual_usd: float) -> None:
        """Replace a reservation by what was charged (zero for a failed request)."""
        with self._lock:
            self._open -= 1
            self._committed += actual_usd - worst_usd
            self._answered += actual_usd

    def owe(self, worst_usd: float) -> None:
        """Put aside what was ordered earlier, by whichever process: it comes, whatever the cap."""
        with self._lock:
            self._committed += worst_usd

    def pay(self, owed_usd: float, actual_usd: float) -> None:
        with self._lock:
            self._committed += actual_usd - owed_usd
            self._answered += actual_usd

    def journaled(self, usd: float) -> None:
        """Note that an answer is in the lake, where other workers count it."""
        with self._lock:
            self._durable += usd


def cost_usd(price: Price | None, prompt_tokens: int, completion_tokens: int) -> float:
    if price is None:
        return 0.0
    return (
        prompt_tokens * price.input_per_million + completion_tokens * price.output_per_million
    ) / 1e6
