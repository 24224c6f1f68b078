"""The pool bounds what is in flight, loses nothing and fails with the first error."""

import asyncio
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parrot_core.engines.in_flight import in_flight


@given(items=st.lists(st.integers(0, 3), max_size=40), limit=st.integers(1, 8))
def test_every_item_is_worked_on_once_and_never_more_than_the_limit_at_once(
    items: list[int], limit: int
) -> None:
    done: list[int] = []
    running = peak = 0

    async def work(pair: tuple[int, int]) -> None:
        nonlocal running, peak
        running += 1
        peak = max(peak, running)
        for _ in range(pair[1]):
            await asyncio.sleep(0)
        running -= 1
        done.append(pair[0])

    asyncio.run(in_flight(enumerate(items), limit, work))
    assert sorted(done) == list(range(len(items)))
    assert peak <= limit


def test_items_are_pulled_only_as_places_become_free() -> None:
    pulled: list[int] = []
    finished: list[int] = []

    def endless() -> Iterator[int]:
        for number in range(100):
            pulled.append(number)
            assert len(pulled) - len(finished) <= 3
            yield number

    async def work(number: int) -> None:
        await asyncio.sleep(0)
        finished.append(number)

    asyncio.run(in_flight(endless(), 3, work))
    assert len(finished) == 100


def test_the_first_error_comes_out_as_it_is_and_the_rest_is_cancelled() -> None:
    cancelled: list[int] = []
    started: list[int] = []

    async def work(number: int) -> None:
        started.append(number)
        if number == 2:
            raise KeyError("two")
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.append(number)
            raise

    with pytest.raises(KeyError, match="two"):
        asyncio.run(in_flight(range(10), 4, work))
    assert sorted(cancelled) == [0, 1]
    assert started == [0, 1, 2]


def test_an_error_while_pulling_items_comes_out_too() -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise OSError("disk away")

    async def work(number: int) -> None:
        await asyncio.sleep(0)

    with pytest.raises(OSError, match="disk away"):
        asyncio.run(in_flight(broken(), 2, work))


def test_work_that_cancels_itself_is_an_error_and_not_a_lost_item() -> None:
    async def work(number: int) -> None:
        raise asyncio.CancelledError

    with pytest.raises(RuntimeError, match="cancelled from within"):
        asyncio.run(in_flight([1, 2], 2, work))


def test_cancelling_the_pool_cancels_its_work() -> None:
    async def main() -> bool:
        pool = asyncio.create_task(in_flight(range(3), 2, lambda _: asyncio.sleep(60)))
        await asyncio.sleep(0.01)
        pool.cancel()
        try:
            await pool
        except asyncio.CancelledError:
            return True
        return False

    assert asyncio.run(main())


def test_a_limit_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        asyncio.run(in_flight([1], 0, lambda _: asyncio.sleep(0)))
