"""Which shard of a stage a worker takes next: the lake is the queue, and all workers read it alike.

A shard that another worker holds is passed over, and looked at again until it is done, let go or
its holder has been silent for as long as its lease lasts.
"""

import random
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from parrot_core.lake.leases import Watched
from parrot_core.lake.run import Run
from parrot_core.lake.run_records import StageRecords
from parrot_core.lake.stage_plan import ShardPlan, StagePlan

LOOK_EVERY_S = 1.0
"""How often a worker without a free shard looks for one; one listing a look."""


@dataclass(frozen=True, slots=True)
class Pulled:
    """A shard that seems to be free, with what was watched of the lease that stands on it."""

    shard: ShardPlan
    watched: Watched | None = None


class ShardQueue:
    """The shards of one stage that one worker may still do."""

    def __init__(
        self,
        run: Run,
        plan: StagePlan,
        only: Collection[int] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """With ``only``, no other shards are taken."""
        self._records = StageRecords(run.lake.storage, run.name, plan.stage)
        self._clock = clock
        mine = [s for s in plan.shards if only is None or s.index in only]
        self._left = {shard.index: shard for shard in mine}
        self._free: list[int] = []
        self._watched: dict[int, Watched] = {}
        self._next_look = clock()
        self._collided = False

    @property
    def waits(self) -> bool:
        """Whether a shard is left that another worker holds, or that was not looked at yet."""
        return bool(self._left)

    def pull(self) -> Pulled | None:
        """A shard to try, this worker's business from now on; None when none is free now."""
        while self._free:
            index = self._free.pop(0)
            if index in self._left:
                return self._take(index)
        now = self._clock()
        if now < self._next_look or not self._left:
            return None
        self._next_look = now + LOOK_EVERY_S
        self._look(now)
        return self._take(self._free.pop(0)) if self._free else None

    def passed_over(self, shard: ShardPlan) -> None:
        """Another worker was faster: the shard is looked at again later."""
        self._left[shard.index] = shard
        if not self._collided:  # workers that begin together would all meet at each shard
            self._collided = True
            random.shuffle(self._free)

    def _take(self, index: int) -> Pulled:
        return Pulled(self._left.pop(index), self._watched.pop(index, None))

    def _look(self, now: float) -> None:
        """Find out, by one listing, which shards are finished, free or held."""
        paths = self._records.shard_files()
        finished, claimed = _named(paths, "receipt.json"), _claimed(paths)
        for index in finished | self._records.quarantine.held(paths).keys():
            self._left.pop(index, None)
        untouched = [index for index in self._left if index not in claimed]
        self._free = untouched
        for index in self._left.keys() & claimed:
            top = self._records.shard(index).claims.top()
            before = self._watched.get(index)
            if top is None or top.receipt is not None or top.over:
                self._free.append(index)  # whoever takes a committed one files its receipt
                self._watched.pop(index, None)
            elif before is None or before.claim != top:
                self._watched[index] = Watched(top, now)
            elif before.expired(now):
                self._free.append(index)


def _named(paths: Iterable[str], file: str) -> set[int]:
    return {int(path.split("/")[-2]) for path in paths if path.endswith(f"/{file}")}


def _claimed(paths: Iterable[str]) -> set[int]:
    return {int(path.split("/")[4]) for path in paths if path.split("/")[5] == "claims"}
