"""Works on batches in processes of their own; results come in the order of the batches.

Not ``multiprocessing``: its fresh processes first run the caller's main module again, which for the
``parrot`` command means Typer and all that it imports, and they outlive a caller that is killed. A
member here (``ingest.crew_member``) imports what its work needs, reads batches from its standard
input and ends with it.
"""

import os
import pickle
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from queue import SimpleQueue
from types import TracebackType
from typing import Generic, Self, TypeVar

from parrot_core.errors import ProcessLost
from parrot_core.ingest.crew_member import Answer, read_frame, write_frame

Job = TypeVar("Job")
Result = TypeVar("Result")
Kept = TypeVar("Kept")

MOST_BY_DEFAULT = 4
"""More than the process that reads and writes can feed."""
ALONE = 8
"""Batches worked on here before processes are started: a small input isn't worth their imports."""
_THREADS = ("POLARS_MAX_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def processes_of(wanted: int | None) -> int:
    """The recipe's number of processes, or as many as there are cores for us, at most four."""
    return wanted or min(MOST_BY_DEFAULT, len(os.sched_getaffinity(0)))


class Lender:
    """Lends processes to the shards that are in work at once, so that all have no more than one.

    The first gets all that are free; one that gets none works by itself.
    """

    def __init__(self) -> None:
        self._lent = 0
        self._lock = threading.Lock()

    @contextmanager
    def lend(self, most: int) -> Iterator[int]:
        """The number of processes that a shard may have, of ``most`` in all."""
        with self._lock:
            free = max(0, most - self._lent)
            self._lent += free
        try:
            yield free
        finally:
            with self._lock:
                self._lent -= free


class Crew(Generic[Job, Result]):
    """Some processes that do the same work; in a ``with`` block, whose end ends them.

    ``make`` is called in each process, and here for the first batches; it gives what is called
    with each batch. It, the batches and the results are pickled.
    """

    def __init__(
        self, make: Callable[[], Callable[[Job], Result]], processes: int, alone: int = ALONE
    ) -> None:
        """Nothing is started before it is needed; with one process or none, nothing ever."""
        self._make = make
        self._size = processes if processes > 1 else 0
        self._alone = alone
        self._members: list[subprocess.Popen[bytes]] = []
        self._idle: SimpleQueue[subprocess.Popen[bytes]] = SimpleQueue()
        self._threads: ThreadPoolExecutor | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the processes. They hold nothing that isn't ours, so they are simply killed."""
        for member in self._members:
            member.kill()
        if self._threads is not None:
            self._threads.shutdown(cancel_futures=True)
        for member in self._members:
            member.wait()
            for pipe in (member.stdin, member.stdout):
                if pipe is not None:
                    _close(pipe.close)
        self._members = []

    def results(self, jobs: Iterable[tuple[Kept, Job]]) -> Iterator[tuple[Kept, Result]]:
        """Each job's result with what was kept of it here, in order.

        At most two jobs a process are held at once.

        Raises:
            ProcessLost: a process ended before its work was done.
            Exception: whatever the work raised.
        """
        waiting: deque[tuple[Kept, Future[Result]]] = deque()
        work: Callable[[Job], Result] | None = None
        for number, (kept, job) in enumerate(jobs):
            if number < self._alone or not self._size:
                work = work or self._make()
                yield kept, work(job)
                continue
            work = None
            waiting.append((kept, self._submit(job)))
            if len(waiting) >= 2 * self._size:
                first, future = waiting.popleft()
                yield first, future.result()
        for first, future in waiting:
            yield first, future.result()

    def _submit(self, job: Job) -> Future[Result]:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(self._size, "parrot-crew")
            for _ in range(self._size):
                self._members.append(_start())
                self._threads.submit(self._introduce, self._members[-1])
        return self._threads.submit(self._do, job)

    def _introduce(self, member: subprocess.Popen[bytes]) -> None:
        try:
            _send(member, pickle.dumps(self._make, pickle.HIGHEST_PROTOCOL))
        except OSError:  # it has ended already: the first that gives it a job will say so
            pass
        finally:
            self._idle.put(member)

    def _do(self, job: Job) -> Result:
        member = self._idle.get()
        try:
            _send(member, pickle.dumps(job, pickle.HIGHEST_PROTOCOL))
            assert member.stdout is not None
            frame = read_frame(member.stdout)
        except OSError:
            frame = None
        finally:
            self._idle.put(member)
        if frame is None:
            raise ProcessLost("a process that cleans conversations", member.wait())
        answer: Answer[Result] = pickle.loads(frame)
        if answer.error is not None:
            raise answer.error
        return answer.result  # type: ignore[return-value]  # there unless an error is


def _start() -> subprocess.Popen[bytes]:
    paths = (os.path.abspath(path) for path in sys.path)
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "parrot_core.ingest.crew_member"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, **dict.fromkeys(_THREADS, "1"), "PYTHONPATH": os.pathsep.join(paths)},
        start_new_session=True,  # the terminal's Ctrl-C is for us, and we end them
    )


def _send(member: subprocess.Popen[bytes], data: bytes) -> None:
    assert member.stdin is not None
    write_frame(member.stdin, data)


def _close(close: Callable[[], None]) -> None:
    """Close a pipe whose other end may be gone, with bytes still in its buffer."""
    try:
        close()
    except BrokenPipeError:
        return
