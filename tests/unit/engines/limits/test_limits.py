"""Requests in flight, rates, refusals and the circuit breaker, with a clock that tests move."""

import asyncio
import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parrot_core.engines.limits.breaker import Breaker
from parrot_core.engines.limits.budget import Budget
from parrot_core.engines.limits.limits import Limiter, Share, TokenBucket
from parrot_core.engines.types import BudgetReached, ProviderRefuses
from parrot_core.recipe import Limits

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


class Time:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        await asyncio.sleep(0)

    def day(self) -> datetime:
        return NOON + timedelta(seconds=self.now)


def breaker(time: Time, **limits: float) -> Breaker:
    made = Limits.model_validate({"pause_after_s": 30, "max_pause_s": 600, **limits})
    return Breaker("judge", made, time.clock, time.day, random.Random(0))


@given(
    st.integers(1, 3000),
    st.lists(st.floats(0, 5), min_size=1, max_size=200),
)
def test_no_minute_holds_more_requests_than_the_limit(rpm: int, gaps: list[float]) -> None:
    time = Time()
    bucket = TokenBucket(rpm, time.clock)
    sent: list[float] = []
    for gap in gaps:
        time.now += gap
        time.now += bucket.wait(1)
        bucket.take(1)
        sent.append(time.now)
    for start in sent:
        assert sum(start <= at < start + 59.99 for at in sent) <= rpm


def test_a_new_rate_holds_for_those_who_wait_already() -> None:
    time = Time()
    limiter = Limiter(Limits(concurrency=8, requests_per_minute=61), time.clock, time.sleep)

    async def one() -> float:
        async with limiter.slot(1):
            return time.now

    async def all_of_them() -> list[float]:
        waiting = [asyncio.create_task(one()) for _ in range(7)]
        await asyncio.sleep(0)
        limiter.set_share(Share(8, 6.1))
        return await asyncio.gather(*waiting)

    at = asyncio.run(all_of_them())
    assert at[-1] > 45  # six more at one in ten seconds, not one a second


def test_nothing_is_sent_without_a_share_and_all_goes_on_with_one() -> None:
    limiter = Limiter(Limits(concurrency=4))

    async def one() -> None:
        async with limiter.slot(1):
            pass

    async def share_comes_late() -> bool:
        limiter.set_share(Share.nothing(limiter.limits))
        waiting = asyncio.create_task(one())
        await asyncio.sleep(0.01)
        blocked = not waiting.done()
        limiter.set_share(Share(2))
        await asyncio.wait_for(waiting, 1)
        return blocked

    assert asyncio.run(share_comes_late())


def test_a_share_that_was_not_renewed_is_not_used() -> None:
    time = Time()
    limiter = Limiter(Limits(concurrency=4), time.clock, time.sleep)

    async def one() -> float:
        limiter.set_share(Share(4), until=10)
        time.now = 50.0
        waiting = asyncio.create_task(limiter_slot(limiter))
        for _ in range(5):
            await asyncio.sleep(0)
        assert not waiting.done()
        limiter.set_share(Share(4), until=1e9)
        await waiting
        return time.now

    assert asyncio.run(one()) > 50


def test_requests_in_flight_and_in_line_are_work_and_after_them_idleness_begins() -> None:
    time = Time()
    limiter = Limiter(Limits(concurrency=1), time.clock, time.sleep)
    seen: list[float] = []

    async def one() -> None:
        async with limiter.slot(1):
            await time.sleep(20)
            seen.append(limiter.idle_s)

    async def two_after_each_other() -> None:
        await asyncio.gather(one(), one())

    time.now = 15
    assert limiter.idle_s == 15
    asyncio.run(two_after_each_other())
    assert seen == [0, 0]
    time.now += 7
    assert limiter.idle_s == 7


async def limiter_slot(limiter: Limiter) -> None:
    async with limiter.slot(1):
        pass


def test_many_refusals_of_one_round_trip_halve_the_window_once() -> None:
    limiter = Limiter(Limits(concurrency=16))

    async def storm() -> list[float]:
        windows = []
        for _ in range(3):
            async with asyncio.TaskGroup() as group:
                for _ in range(int(limiter.window)):
                    group.create_task(refused())
            windows.append(limiter.window)
        return windows

    async def refused() -> None:
        async with limiter.slot(1) as ticket:
            await asyncio.sleep(0.001)
            limiter.refused(ticket, "HTTP 429", None)

    assert asyncio.run(storm()) == [8, 4, 2]


async def outcome(limiter: Limiter, refused: bool, retry_after: float | None = None) -> None:
    async with limiter.slot(1) as ticket:
        if refused:
            limiter.refused(ticket, "HTTP 429", retry_after)
        else:
            limiter.succeeded(1, 1)


def test_a_refusal_now_and_then_costs_no_concurrency_and_no_pause() -> None:
    time, rng = Time(), random.Random(7)
    limiter = Limiter(Limits(concurrency=64), time.clock, time.sleep)

    async def traffic() -> list[float]:
        windows = []
        for _ in range(20_000):
            await outcome(limiter, rng.random() < 0.05, retry_after=2)
            windows.append(limiter.window)
        return windows

    windows = asyncio.run(traffic())
    assert sum(windows) / len(windows) > 0.98 * 64
    assert time.now < 0.01 * 20_000 * 0.05 * 2


def test_a_refused_request_does_not_wait_in_the_whole_line_again() -> None:
    limiter = Limiter(Limits(concurrency=1))
    order: list[str] = []

    async def one(name: str, again: bool) -> None:
        async with limiter.slot(1, again=again):
            order.append(name)
            await asyncio.sleep(0)

    async def line() -> None:
        async with asyncio.TaskGroup() as group:
            for n in range(5):
                group.create_task(one(f"new {n}", again=False))
            await asyncio.sleep(0)
            group.create_task(one("again", again=True))

    asyncio.run(line())
    assert sorted(order) == sorted(["again", *(f"new {n}" for n in range(5))])
    assert order.index("again") <= 2  # behind who was served and who stood first


@pytest.mark.parametrize("concurrency", [1, 16, 256])
def test_a_provider_that_refuses_most_is_left_in_peace(concurrency: int) -> None:
    time, rng = Time(), random.Random(7)
    limiter = Limiter(Limits(concurrency=concurrency, max_pause_s=0), time.clock, time.sleep)

    async def traffic() -> None:
        for _ in range(100):
            await outcome(limiter, rng.random() < 0.9, retry_after=10)

    asyncio.run(traffic())
    assert limiter.window <= max(1, concurrency // 8)
    assert time.now > 100 * 10 * 0.6


def test_the_window_regrows_by_one_a_round_trip() -> None:
    limiter = Limiter(Limits(concurrency=16))
    limiter.window = 4
    for _ in range(4):
        limiter.succeeded(0, 0)
    assert limiter.window == pytest.approx(5, abs=0.2)


def test_the_breaker_opens_when_nothing_is_answered_for_the_span() -> None:
    time = Time()
    made = breaker(time)
    for _ in range(4):
        made.refused("HTTP 429")
        time.now += 9
    assert made.pause is None
    made.refused("HTTP 429")
    assert made.pause is not None
    assert "paused: provider of 'judge' refuses, HTTP 429 since 12:00:00 UTC" in str(made.pause)
    assert made.wait() > 0


def test_one_answer_in_between_keeps_it_closed() -> None:
    time = Time()
    made = breaker(time)
    for number in range(100):
        time.now += 9
        made.answered() if number % 3 == 0 else made.refused("HTTP 503")
    assert made.pause is None


def open_breaker(time: Time, **limits: float) -> Breaker:
    made = breaker(time, **limits)
    for _ in range(3):
        made.refused("HTTP 429")
    time.now += 31
    made.refused("HTTP 429")
    assert made.pause is not None
    return made


def test_probes_go_one_at_a_time_at_growing_bounded_intervals() -> None:
    time = Time()
    made = open_breaker(time, max_pause_s=100_000)
    waits = []
    for _ in range(10):
        wait = made.wait()
        waits.append(wait)
        time.now += wait
        assert made.wait() == 0
        assert made.probes()
        assert made.wait() == float("inf")  # nobody else until the probe is back
        made.refused("HTTP 429", probe=True)
    assert waits == sorted(waits) or max(waits) <= 150
    assert 5 <= waits[0] <= 6.25
    assert 120 <= waits[-1] <= 150


def test_an_answered_probe_closes_it() -> None:
    time = Time()
    made = open_breaker(time)
    time.now += made.wait()
    made.probes()
    made.answered()
    assert (made.pause, made.wait()) == (None, 0)


def test_a_cancelled_probe_gives_its_place_to_the_next() -> None:
    time = Time()
    made = open_breaker(time)
    time.now += made.wait()
    made.probes()
    made.dropped()
    assert made.wait() == 0


def test_a_long_retry_after_pauses_at_once_and_visibly() -> None:
    time = Time()
    made = breaker(time)
    made.refused("HTTP 429", 120)
    assert made.pause is not None
    assert made.wait() >= 120


def test_the_longest_pause_ends_the_run_resumably() -> None:
    time = Time()
    made = open_breaker(time, max_pause_s=60)
    time.now += 61
    with pytest.raises(ProviderRefuses, match="Run the same command again"):
        made.wait()


def test_money_in_flight_is_waited_for_before_the_run_is_paused() -> None:
    budget = Budget(1.0)
    assert budget.try_reserve(0.9)
    assert not budget.try_reserve(0.9)  # the first may turn out cheap
    budget.settle(0.9, 0.05)
    assert budget.try_reserve(0.9)
    budget.settle(0.9, 0.9)
    with pytest.raises(BudgetReached, match=r"\$0\.9500 of \$1\.00"):
        budget.try_reserve(0.9)


def test_a_shared_budget_is_not_reached_while_others_may_make_room() -> None:
    budget = Budget(10.0)
    budget.claim(5.0)
    budget.share(ceiling=0.0, hoped=5.0, before=0.0, asked=True)
    assert not budget.try_reserve(1.0)
    assert budget.wanting.is_set()
    budget.claim(5.0)
    budget.share(ceiling=5.0, hoped=5.0, before=0.0, asked=True)
    assert budget.try_reserve(1.0)
