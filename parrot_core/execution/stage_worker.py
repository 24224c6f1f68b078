"""A worker of one stage: it opens the stage's engines once and pulls shards until none is left.

Any number of workers may work on a stage at once, each in a process of its own, on any machine.
All of it is safe to call again, from another process or machine, at any time.
"""

import logging
import queue
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Protocol

from parrot_core.engines.connection import Engines, open_engines
from parrot_core.engines.limits.budget import Budget
from parrot_core.engines.types import EngineDied, RunError
from parrot_core.errors import LeaseLost, RunStopped, ShardHeld, StorageError
from parrot_core.execution.attempt import failure_of, run_shard
from parrot_core.execution.engine_checks import ask_before_paying
from parrot_core.execution.plans import plan_stage, unfinished
from parrot_core.execution.publication import publish_stage
from parrot_core.execution.shard_queue import LOOK_EVERY_S, Pulled, ShardQueue
from parrot_core.lake.holder import this_process
from parrot_core.lake.leases import DEFAULT_TIMES, LeaseTimes, Watched
from parrot_core.lake.manifest import Manifest, Receipt
from parrot_core.lake.pauses import Pauses
from parrot_core.lake.presence import WORKING, Presence
from parrot_core.lake.requests import counted
from parrot_core.lake.run import Run
from parrot_core.lake.run_records import StageRecords
from parrot_core.lake.stage_plan import ShardPlan, StagePlan
from parrot_core.stages.base import Joining, Stage
from parrot_core.telemetry.stop_request import GRACE_S, stop_request

logger = logging.getLogger(__name__)

PAUSE_POLL_S = 2.0


class Handle(Protocol):
    """Work on a shard that was handed to a thread: a future."""

    def add_done_callback(self, fn: Callable[..., None], /) -> None:
        """Call ``fn`` when the work has ended, however it did."""
        ...


class Log(Protocol):
    """Where a warning goes: Python's logging, or Prefect's run logger."""

    def warning(self, msg: str, /, *args: object) -> None: ...


class OpenStage:
    """One stage of one run, planned, with its engines up."""

    def __init__(
        self,
        run: Run,
        stage: Stage,
        plan: StagePlan,
        engines: Engines | None,
        times: LeaseTimes = DEFAULT_TIMES,
    ) -> None:
        self.run = run
        self.stage = stage
        self.plan = plan
        self._engines = engines
        self._times = times
        self._stopped: RunError | None = None
        self._held: set[int] = set()  # shards at which another worker was faster
        self._errors: dict[int, str] = {}  # what failed here, also where the lake can't keep it

    @property
    def stopped(self) -> bool:
        """Whether an error that concerns the whole run has ended the stage."""
        return self._stopped is not None

    def run_shard(
        self, shard: ShardPlan, watched: Watched | None = None, *, wait: bool = True
    ) -> Receipt:
        """Do one shard; after an error that concerns the whole run, no further one is begun.

        ``watched`` and ``wait``: see :func:`~parrot_core.execution.attempt.run_shard`.

        Raises:
            ShardHeld: another worker is at it; it is no failure.
        """
        if self._stopped is not None:
            raise self._stopped
        wait_while_paused(self.run)
        try:
            return run_shard(
                self.run,
                self.stage,
                shard,
                self._engines,
                times=self._times,
                watched=watched,
                wait=wait,
            )
        except RunError as error:
            if self._stopped is None or error.after_progress:
                self._stopped = error
            raise
        except (ShardHeld, LeaseLost):
            self._held.add(shard.index)
            raise
        except Exception as error:
            self._errors[shard.index] = str(error) or type(error).__name__
            raise

    def work_through(
        self,
        submit: Callable[[Pulled], Handle],
        only: Collection[int] | None = None,
        on_tick: Callable[[], None] = lambda: None,
    ) -> None:
        """Pull shards, some at once, until none is left that this worker can do.

        What becomes of a shard is in the lake. One that failed here is not pulled again by this
        worker; one that another worker holds is waited for.

        Args:
            submit: begins to work on a shard in a thread; it calls :meth:`run_shard`.
            only: the numbers of the shards to do; all when left out.
            on_tick: called every second or so.

        Raises:
            RunStopped: this process is to stop; what was in flight has ended or was given up.
        """
        if joining := self.stage.joins(self.run):
            self._join(joining, on_tick)
            return
        shards = ShardQueue(self.run, self.plan, only)
        ended: queue.SimpleQueue[int] = queue.SimpleQueue()
        wake = threading.Event()
        at_work: dict[int, Pulled] = {}
        stop = stop_request()
        stop.listen(wake.set)
        try:
            while True:
                wake.clear()
                stop.check()
                while not ended.empty():
                    pulled = at_work.pop(ended.get())
                    if pulled.shard.index in self._held:
                        self._held.discard(pulled.shard.index)
                        shards.passed_over(pulled.shard)
                while len(at_work) < self.run.recipe.shards_at_once and not self.stopped:
                    found = shards.pull()
                    if found is None:
                        break
                    index = found.shard.index
                    at_work[index] = found
                    submit(found).add_done_callback(_noting(index, ended, wake))
                if not at_work and (self.stopped or not shards.waits):
                    return
                wake.wait(LOOK_EVERY_S)
                on_tick()
        except RunStopped:
            _drain(at_work, ended)
            raise
        except BaseException as error:  # Prefect's signal of a cancelled flow run is one
            stop.ask(RunStopped(f"stopped: {error!r}"))
            _drain(at_work, ended)
            raise
        finally:
            stop.unlisten(wake.set)

    def _join(self, joining: Joining, on_tick: Callable[[], None]) -> None:
        """Help with the stage's one shard, until whoever holds it is done."""
        wait_while_paused(self.run)
        records = StageRecords(self.run.lake.storage, self.run.name, self.stage.name).shard(0)
        with joining as help_with:
            while not (records.receipt() or records.quarantine()):
                help_with(records.claims.top())
                stop_request().wait(LOOK_EVERY_S)
                on_tick()

    def publish(self) -> Manifest:
        """Publish the version.

        Raises:
            RunError: the one that stopped the stage.
            PartiallyFailed: some shards failed; the others are kept.
        """
        if self._stopped is not None:
            raise self._stopped
        return publish_stage(self.run, self.stage, self.plan, self._errors)


def _noting(
    index: int, ended: "queue.SimpleQueue[int]", wake: threading.Event
) -> Callable[..., None]:
    def note(_: object) -> None:
        ended.put(index)
        wake.set()

    return note


def _drain(at_work: dict[int, Pulled], ended: "queue.SimpleQueue[int]") -> None:
    until = time.monotonic() + GRACE_S
    while at_work and (left := until - time.monotonic()) > 0:
        try:
            at_work.pop(ended.get(timeout=left), None)
        except queue.Empty:
            return


def wait_while_paused(run: Run, sleep: Callable[[float], None] | None = None) -> None:
    """Return when the run isn't paused (any more): no shard is begun before.

    Raises:
        RunStopped: this process is to stop.
    """
    pauses, wait = Pauses(run.lake.storage, run.name), sleep or stop_request().wait
    while pauses.read() is not None:
        wait(PAUSE_POLL_S)


def complete_stage(
    run: Run, stage: Stage, work: Callable[[], Manifest], log: Log = logger
) -> Manifest:
    """Make a stage's version by ``work``, which is called again while one of our engines dies.

    As often as a shard is retried, and always where a shard got further than ever before.
    Whatever ends the stage leaves a trace in the lake, before it has a plan too.
    """
    records = StageRecords(run.lake.storage, run.name, stage.name)
    records.clear_failure()
    starts_left = run.recipe.shard_retries
    while True:
        try:
            with counted(run.lake.storage, run.name, stage.name):
                return work()
        except RunStopped:
            raise
        except Exception as error:
            stop_request().reset()  # shards in work were asked to stop; they have ended by now
            if not isinstance(error, EngineDied) or not (error.after_progress or starts_left):
                _record(records, error, log)
                raise
            if not error.after_progress:
                starts_left -= 1
            log.warning("%s; starting the engines again", error)


def _record(records: StageRecords, error: Exception, log: Log) -> None:
    """Keep what ended a stage. A lake that can't be written to must not hide it."""
    try:
        records.record_failure(failure_of(error, this_process().worker))
    except StorageError as problem:
        log.warning("the stage's failure can't be recorded: %s", problem)


@contextmanager
def open_stage(
    run: Run, stage: Stage, budget: Budget, times: LeaseTimes = DEFAULT_TIMES
) -> Iterator[OpenStage]:
    """Plan a stage and bring up the engines it needs, if a shard is left to do."""
    with Presence(run.lake.storage, run.name, stage.name) as presence:
        plan = plan_stage(run, stage)
        names = stage.engines(run)
        if names and unfinished(run, plan):
            presence.does("starting engines " + ", ".join(dict.fromkeys(names)))
            with open_engines(run, names, budget, stage.name) as engines:
                ask_before_paying(run, stage, engines)
                presence.does(WORKING)
                yield OpenStage(run, stage, plan, engines, times)
        else:
            presence.does(WORKING)
            yield OpenStage(run, stage, plan, None, times)
