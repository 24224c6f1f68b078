"""Reads the sessions of a set for all measures, in several processes where they are many.

What is read comes back in the order of the sessions, a few pieces ahead: memory stays flat, and
the figures are those of one process to the last digit.
"""

import logging
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import cache, partial
from itertools import islice
from multiprocessing import get_context, parent_process
from typing import Any

from parrot_core.analysis.statistics.measures import Measure, offline_measures
from parrot_core.analysis.statistics.session import Session
from parrot_core.analysis.statistics.tokens import counter_of

logger = logging.getLogger(__name__)

ALONE = 2000
"""Sessions that one process reads before others are begun: in the seconds that it would take."""
PIECE = 32
AHEAD = 3
"""Pieces under way for each process."""
MOST = 16
"""Processes that one reader of files can feed."""

Read = Sequence[Any]
"""What each measure read of one session."""

Reader = Callable[[Sequence[Session]], list[Read]]


def usable_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def read_each(
    sessions: Iterable[Session], seed: int, tokenizer: str, processes: int = 1
) -> Generator[tuple[Session, Read]]:
    """Every session, in order, with what each of ``offline_measures`` reads of it.

    Close the generator where it isn't read to its end: its processes end then. Where one of them
    is killed (by lack of memory, most likely), this process goes on alone.
    """
    read = partial(_read, seed, tokenizer)
    stream = iter(sessions)
    yield from _alone(read, islice(stream, ALONE if processes > 1 else None))
    first = next(stream, None)
    if first is None:
        return
    yield from _shared(read, _pieces(first, stream), min(processes, MOST))


def _alone(read: Reader, sessions: Iterable[Session]) -> Iterator[tuple[Session, Read]]:
    for session in sessions:
        yield session, read([session])[0]


def _shared(
    read: Reader,
    pieces: Iterator[list[Session]],
    processes: int,
) -> Iterator[tuple[Session, Read]]:
    pool = ProcessPoolExecutor(processes, get_context("spawn"), _end_with_parent)
    under_way: deque[tuple[list[Session], Future[list[Read]] | None]] = deque()
    try:
        for piece in pieces:
            under_way.append((piece, _begun(pool, read, piece)))
            if len(under_way) > AHEAD * processes:
                yield from _ended(read, *under_way.popleft())
        while under_way:
            yield from _ended(read, *under_way.popleft())
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _begun(
    pool: ProcessPoolExecutor,
    read: Reader,
    piece: list[Session],
) -> Future[list[Read]] | None:
    """A process that this may start is born deaf to Ctrl-C, which is its parent's business."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        return pool.submit(read, piece)
    except BrokenProcessPool:
        return None
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _ended(
    read: Reader,
    piece: list[Session],
    future: Future[list[Read]] | None,
) -> Iterator[tuple[Session, Read]]:
    try:
        found = future.result() if future is not None else read(piece)
    except BrokenProcessPool:
        logger.warning("a process that read sessions was killed: this one goes on alone")
        found = read(piece)
    return zip(piece, found, strict=True)


def _pieces(first: Session, following: Iterator[Session]) -> Iterator[list[Session]]:
    piece = [first, *islice(following, PIECE - 1)]
    while piece:
        yield piece
        piece = list(islice(following, PIECE))


def _read(seed: int, tokenizer: str, sessions: Sequence[Session]) -> list[Read]:
    measures = _measures(seed, tokenizer)
    return [[measure.read(session) for measure in measures] for session in sessions]


@cache
def _measures(seed: int, tokenizer: str) -> tuple[Measure, ...]:
    """Once a process: a tokenizer takes a while to load."""
    return offline_measures(seed, counter_of(tokenizer))


def _end_with_parent() -> None:
    """In each process: its parent's end is its own, however that comes."""

    def wait() -> None:
        parent = parent_process()
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
