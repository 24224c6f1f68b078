"""Limits and money shared over the lake, whoever comes, goes or dies."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parrot_core.engines.limits.budget import Budget
from parrot_core.engines.limits.limits import Limiter, Share
from parrot_core.engines.limits.sharing import IDLE_S, Sharing, part_of
from parrot_core.engines.types import BudgetReached
from parrot_core.lake.spending import Spending
from parrot_core.lake.storage import Storage
from parrot_core.lake.workers import DEAD_AFTER_S, WorkerRecord, Workers
from parrot_core.recipe import Limits

LIMITS = Limits(concurrency=16, requests_per_minute=600, tokens_per_minute=60_000)
MODEL = "http://provider/v1 m"
CAP = 10.0


class Bank(Spending):
    """What all workers have journaled, without the journals."""

    def __init__(self) -> None:
        self.spent = 0.0

    def total(self) -> float:
        return self.spent


class Memory(Storage):
    """A lake in memory: files as they are, no disk to wait for."""

    def __init__(self) -> None:
        super().__init__("memory://sharing")
        self.files: dict[str, bytes] = {}

    def write_bytes(self, path: str, data: bytes) -> None:
        self.files[path] = data

    def read_bytes(self, path: str) -> bytes:
        if path not in self.files:
            raise FileNotFoundError(path)
        return self.files[path]

    def list(self, prefix: str) -> list[str]:
        return sorted(path for path in self.files if path.startswith(prefix))

    def delete(self, paths: object) -> None:
        for path in paths:  # type: ignore[attr-defined]
            self.files.pop(path, None)


class World:
    """Some workers of one run, whose beats the test calls."""

    def __init__(self, storage: Storage | None = None) -> None:
        self.now = 100.0
        self.storage = storage or Memory()
        self.bank = Bank()
        self.workers: list[Worker] = []

    def join(self) -> "Worker":
        worker = Worker(self)
        self.workers.append(worker)
        return worker


class Worker:
    def __init__(self, world: World) -> None:
        self.world = world
        self.limiter = Limiter(LIMITS, lambda: world.now)
        self.budget = Budget(CAP)
        self.owed = 0.0
        self.me = Workers(world.storage, "r", lambda: world.now)
        self.sharing = Sharing(
            self.me,
            {MODEL: self.limiter},
            self.budget,
            world.bank,
            clock=lambda: world.now,
        )
        self.limiter.set_share(Share.nothing(LIMITS))
        self.sharing._others = self.me.others()
        self.sharing.beat()

    def buy(self, worst: float, actual: float) -> bool:
        try:
            if not self.budget.try_reserve(worst):
                return False
        except BudgetReached:
            return False
        self.budget.settle(worst, actual)
        self.owed += actual
        return True

    def journal(self) -> None:
        self.world.bank.spent += self.owed
        self.budget.journaled(self.owed)
        self.owed = 0.0

    def leave(self) -> None:
        self.me.leave()
        self.world.workers.remove(self)


def test_a_worker_alone_has_everything_after_one_beat() -> None:
    worker = World().join()
    assert worker.limiter.share == Share.whole(LIMITS)
    assert worker.budget.free_usd == CAP


def test_a_newcomer_uses_nothing_until_the_other_has_made_room() -> None:
    world = World()
    first = world.join()
    second = world.join()
    assert second.limiter.share.concurrency == 0
    assert second.budget.free_usd == 0
    first.sharing.beat()
    second.sharing.beat()
    assert first.limiter.share.concurrency == second.limiter.share.concurrency == 8
    assert first.limiter.share.requests_per_minute == pytest.approx(299.5)
    assert first.budget.free_usd == second.budget.free_usd == 5.0


def test_what_is_in_flight_is_not_given_away() -> None:
    world = World()
    first = world.join()
    first.limiter.in_flight = 14
    second = world.join()
    first.sharing.beat()
    second.sharing.beat()
    assert second.limiter.share.concurrency == 2
    first.limiter.in_flight = 3
    first.sharing.beat()
    second.sharing.beat()
    assert second.limiter.share.concurrency == 8


def test_the_share_of_a_worker_that_leaves_goes_to_the_others() -> None:
    world = World()
    first, second = world.join(), world.join()
    for _ in range(2):
        first.sharing.beat()
        second.sharing.beat()
    second.leave()
    first.sharing.beat()
    assert first.limiter.share == Share.whole(LIMITS)


def test_a_worker_without_work_leaves_its_share_to_those_with_some_and_gets_it_back() -> None:
    world = World()
    first, second = world.join(), world.join()
    first.limiter.in_flight = 1
    for _ in range(2):
        first.sharing.beat()
        second.sharing.beat()
    world.now += IDLE_S + 0.1
    for worker in (first, second):
        worker.sharing.beat()
    assert second.limiter.share.concurrency == 8  # nobody needs it
    first.limiter.waiting = 1
    for worker in (first, second, first):
        worker.sharing.beat()
    assert second.limiter.share == Share.nothing(LIMITS)
    assert first.limiter.share == Share.whole(LIMITS)
    first.limiter.waiting = 0
    for worker in (first, second, first):
        worker.sharing.beat()
    assert first.limiter.share == Share.whole(LIMITS)

    second.limiter.waiting = 1
    for worker in (second, first, second):
        worker.sharing.beat()
    assert first.limiter.share.concurrency == second.limiter.share.concurrency == 8


def test_where_nobody_has_work_the_limits_are_still_somebodys() -> None:
    world = World()
    first, second = world.join(), world.join()
    first.limiter.waiting = second.limiter.waiting = 1
    first.sharing.beat()
    second.sharing.beat()
    first.limiter.waiting = second.limiter.waiting = 0
    world.now += IDLE_S + 0.1
    for _ in range(3):
        first.sharing.beat()
        second.sharing.beat()
    shares = [first.limiter.share, second.limiter.share]
    assert Share.whole(LIMITS) in shares


def test_the_share_of_a_worker_that_died_is_freed_when_its_heartbeat_is_dead() -> None:
    world = World()
    first, second = world.join(), world.join()
    first.limiter.in_flight = 1
    for _ in range(2):
        first.sharing.beat()
        second.sharing.beat()
    assert second.buy(worst=3.0, actual=1.0)
    second.journal()
    assert second.buy(worst=3.0, actual=1.0)  # paid, but never journaled
    for _ in range(4):
        world.now += DEAD_AFTER_S / 4 - 0.1  # the first look sees its last beat
        first.sharing.beat()
    assert first.limiter.share.concurrency == 8
    world.now += DEAD_AFTER_S / 3
    first.sharing.beat()
    first.budget.wanting.set()
    first.sharing.beat()
    assert first.limiter.share == Share.whole(LIMITS)
    assert first.budget.free_usd == pytest.approx(CAP - 1.0)


def test_a_process_that_ended_on_this_machine_is_known_to_be_dead_at_once(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    here = Workers(storage, "r")
    here.say(here.me)
    ghost = Workers(storage, "r")
    gone = ghost.me.holder.model_copy(update={"pid": 4_000_000})
    ghost.say(WorkerRecord(id=ghost.me.id, holder=gone))
    assert len(storage.list("runs/r/workers")) == 2
    assert here.others() == []
    assert len(storage.list("runs/r/workers")) == 1


def test_a_worker_that_was_frozen_uses_nothing_before_it_has_looked_again() -> None:
    world = World()
    first = world.join()
    world.now += 100
    assert first.limiter._wait(1) > 0
    newcomer = world.join()
    newcomer.sharing.beat()
    world.now += DEAD_AFTER_S + 1
    newcomer.sharing.beat()
    newcomer.budget.wanting.set()
    newcomer.sharing.beat()
    assert newcomer.budget.free_usd == CAP
    first.sharing.beat()
    assert first.limiter.share.concurrency == 0
    assert first.budget.free_usd == 0


def test_without_a_cap_nobody_reads_what_was_spent() -> None:
    world = World()
    worker = world.join()
    reads: list[int] = []
    world.bank.total = lambda: reads.append(1) or 0.0  # type: ignore[method-assign,func-returns-value]
    for _ in range(10):
        worker.sharing.beat()
    assert reads == []  # alone, the first reckoning was enough


@pytest.mark.parametrize("members", [1, 2, 3, 7, 20])
def test_the_parts_of_all_members_make_no_more_than_the_whole(members: int) -> None:
    for limits in (LIMITS, Limits(concurrency=2, requests_per_minute=3, tokens_per_minute=1)):
        parts = [part_of(limits, rank, members) for rank in range(members)]
        assert sum(part.concurrency for part in parts) == limits.concurrency
        rates = [part.requests_per_minute or 0 for part in parts]
        assert 0 < sum(rates) <= (limits.requests_per_minute or 0) + 1e-9
        assert sum(part.tokens_per_minute or 0 for part in parts) <= limits.tokens_per_minute + 1e-9


@settings(max_examples=120, deadline=None)
@given(st.integers(0, 10_000), st.integers(20, 120))
def test_whatever_happens_the_sums_stay_within_limits_and_cap(seed: int, steps: int) -> None:
    """Workers come, go, freeze, spend and beat in any order; nobody ever passes a limit."""
    chance = random.Random(seed)
    world = World()
    world.join()

    def one() -> Worker:
        return chance.choice(world.workers)

    def spend() -> None:
        one().buy(worst=0.4, actual=chance.choice([0.05, 0.4]))

    def fly() -> None:
        limiter = one().limiter
        limiter.in_flight = min(limiter.share.concurrency, limiter.in_flight + 3)

    def land() -> None:
        worker = one()
        worker.limiter.in_flight = max(0, worker.limiter.in_flight - 3)

    def rest() -> None:
        limiter = one().limiter
        limiter._wanted_at = world.now - chance.choice([0, 60])
        limiter.waiting = chance.choice([0, 0, 1])

    def leave() -> None:
        if len(world.workers) > 1:
            worker = one()
            worker.journal()
            worker.limiter.in_flight = 0
            worker.leave()

    def beat() -> None:
        worker = one()
        world.now += 0.2
        worker.sharing.beat()

    moves: list[tuple[Callable[[], object], int]] = [
        *((beat, 10), (spend, 12), (lambda: one().journal(), 5), (fly, 6), (land, 6), (rest, 4)),
        *((leave, 1), (lambda: world.join() if len(world.workers) < 5 else None, 2)),
    ]
    for _ in range(steps):
        chance.choices([move for move, _ in moves], [weight for _, weight in moves])[0]()
        assert_within_limits_and_cap(world)


def assert_within_limits_and_cap(world: World) -> None:
    limiters = [worker.limiter for worker in world.workers]
    assert sum(max(each.share.concurrency, each.in_flight) for each in limiters) <= (
        LIMITS.concurrency
    )
    assert sum(each.share.requests_per_minute or 0 for each in limiters) <= 600 + 1e-6
    assert sum(each.share.tokens_per_minute or 0 for each in limiters) <= 60_000 + 1e-6
    budgets = [worker.budget for worker in world.workers]
    exposed = sum(max(0.0, each._committed - each.durable_usd) for each in budgets)
    could_spend = exposed + sum(each.free_usd for each in budgets)
    assert world.bank.spent + could_spend <= CAP + 1e-6
