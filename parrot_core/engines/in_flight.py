"""Many coroutines at once, but never more than a limit: the one pool of all asynchronous stages."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

T = TypeVar("T")


async def in_flight(items: Iterable[T], limit: int, work: Callable[[T], Awaitable[None]]) -> None:
    """Run ``work`` on every item, at most ``limit`` at once.

    Items are pulled one by one as places become free, so that memory is bounded by ``limit``
    however long ``items`` is. Nothing is skipped: work that cancels itself is an error.

    Args:
        items: what to work on; may be a generator, pulled on the event loop's thread.
        limit: most items in work, at least 1.

    Raises:
        ValueError: the limit is below 1.
        BaseException: whatever ``work`` or ``items`` raised first; the rest is cancelled.
    """
    if limit < 1:
        raise ValueError(f"limit must be at least 1, given {limit}")
    waiting = iter(items)
    first: list[BaseException] = []

    async def worker() -> None:
        try:
            while not first:
                try:
                    item = next(waiting)
                except StopIteration:
                    return
                await work(item)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            error = RuntimeError("work was cancelled from within: its item is unfinished")
            first.append(error)
            raise error from None
        except BaseException as error:
            first.append(error)
            raise

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(limit):
                group.create_task(worker())
    except BaseExceptionGroup:
        raise first[0] from None
