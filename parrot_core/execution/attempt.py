"""One attempt at one shard: take its lease, let the stage work, commit; record what went wrong."""

import logging
import traceback
import uuid
from datetime import UTC, datetime

from parrot_core.engines.connection import Engines
from parrot_core.engines.types import RunError
from parrot_core.errors import (
    LeaseLost,
    RunStopped,
    ShardQuarantined,
    StorageError,
    UserError,
)
from parrot_core.execution.shard_work import LakeShardWork
from parrot_core.lake.attempts import AttemptFailure
from parrot_core.lake.checkpoints import newest_step
from parrot_core.lake.holder import Holder, this_process
from parrot_core.lake.journal import answered, read_entries
from parrot_core.lake.leases import DEFAULT_TIMES, Lease, LeaseTimes, Watched, take
from parrot_core.lake.manifest import Receipt
from parrot_core.lake.run import Run
from parrot_core.lake.run_records import utc_now
from parrot_core.lake.shard_records import ShardRecords
from parrot_core.lake.stage_plan import ShardPlan
from parrot_core.stages.base import Stage
from parrot_core.telemetry.execution_context import in_context
from parrot_core.telemetry.tracing import span

logger = logging.getLogger(__name__)

NOT_RETRIED = (RunError, UserError, RunStopped, ShardQuarantined)
"""What trying a shard once more can't mend."""


def run_shard(
    run: Run,
    stage: Stage,
    shard: ShardPlan,
    engines: Engines | None,
    worker: str | None = None,
    times: LeaseTimes = DEFAULT_TIMES,
    watched: Watched | None = None,
    *,
    wait: bool = True,
) -> Receipt:
    """Do one shard, or return the receipt of an attempt that did it.

    A failure is recorded in the lake with its traceback, then raised.

    Args:
        worker: who works, for people; this process when left out.
        watched: what is known of its present holder, if somebody has watched it.
        wait: find out whether a holder who seems to be at it still is; else it is passed over.

    Raises:
        ShardHeld: another worker is at it.
        LeaseLost: another took it over from us, and has not finished yet.
        ShardQuarantined: it has failed ``max_attempts`` times.
        RunStopped: this process is to stop. Nothing is recorded against the shard.
    """
    records = ShardRecords(run.lake.storage, run.name, stage.name, shard.index)
    with in_context(run.name, stage.name, shard.index):
        done = records.receipt()
        if done is not None:
            return done
        _refuse(records)
        attempt, holder = uuid.uuid4().hex[:12], this_process(worker)
        try:
            taken = _taken(run, records, attempt, holder, times, watched, wait)
            done = (
                taken
                if isinstance(taken, Receipt)
                else _traced(_Attempt(run, stage, shard, records, taken), engines)
            )
        except LeaseLost:
            top = records.claims.top()
            if top is None or top.receipt is None:
                raise
            done = top.receipt  # the work of whoever took over stands
        records.file_receipt(done)
        return done


def _taken(
    run: Run,
    records: ShardRecords,
    attempt: str,
    holder: Holder,
    times: LeaseTimes,
    watched: Watched | None,
    wait: bool,
) -> Lease | Receipt:
    """The shard's lease, or its receipt; storage that gives neither is a failed attempt."""
    try:
        return take(records.claims, attempt, holder, times, watched, wait=wait)
    except StorageError as error:
        failed = StorageError(f"{records.place}: its lease can't be taken: {error}")
        _keep(run, records, failure_of(failed, holder.worker), blamed=False)
        raise failed from error


def _traced(attempt: "_Attempt", engines: Engines | None) -> Receipt:
    stage, shard = attempt.stage.name, attempt.shard.index
    with span(f"{stage} {shard}", {"parrot.attempt": attempt.lease.attempt}) as made:
        done = attempt.work(engines)
        accounts = done.accounting
        logger.info(
            "shard %d of %s: %d %ss in, %d out, %d rejected",
            *(shard, stage, accounts.rows_in, accounts.unit),
            *(accounts.rows_out, accounts.rows_rejected),
        )
        made.set_attribute("parrot.rows_in", accounts.rows_in)
        made.set_attribute("parrot.rows_out", accounts.rows_out)
        made.set_attribute("parrot.rows_rejected", accounts.rows_rejected)
        return done


class _Attempt:
    """An attempt that holds the shard's lease."""

    def __init__(
        self, run: Run, stage: Stage, shard: ShardPlan, records: ShardRecords, lease: Lease
    ) -> None:
        self.run = run
        self.stage = stage
        self.shard = shard
        self.records = records
        self.lease = lease

    def work(self, engines: Engines | None) -> Receipt:
        started = utc_now()
        try:
            self._record_lost()
            with LakeShardWork(
                self.run, self.stage, self.shard, self.records, self.lease, engines
            ) as work:
                self.stage.process(work)
                receipt = work.receipt(started)
                receipt.accounting.close(f"{self.stage.name} shard {self.shard.index}")
            self.lease.commit(receipt)
            return receipt
        except (ShardQuarantined, RunStopped):
            raise
        except Exception as error:
            self.lease.check()  # what a worker that was superseded ran into concerns nobody
            logger.warning("shard %d of %s: %s", self.shard.index, self.stage.name, error)
            self._record(started, error)
            raise
        finally:
            self.lease.release()

    def _record(self, started: str, error: Exception) -> None:
        """Keep the error that ended the attempt.

        One that stops the whole run (no money, a key refused) or that the user must mend first
        is not the shard's fault.
        """
        found = failure_of(error, self.lease.worker)
        found = found.model_copy(update={"started_at": datetime.fromisoformat(started)})
        blamed = not isinstance(error, RunError | UserError)
        progressed = _keep(self.run, self.records, found, blamed=blamed)
        if isinstance(error, RunError):
            error.after_progress = progressed

    def _record_lost(self) -> None:
        """If the attempt before this one ended without a word, record that: a shard may be what
        kills its workers, by its memory for instance.

        Raises:
            ShardQuarantined: that was one attempt too many.
        """
        epoch = self.lease.epoch
        before = self.records.claims.read(epoch - 1) if epoch > 1 else None
        if before is None or before.state != "held":
            return
        _keep(
            self.run,
            self.records,
            AttemptFailure(
                error_type="WorkerLost",
                message=f"its worker {before.holder.worker} was killed, or silent for too long",
                worker=before.holder.worker,
                ended_at=datetime.now(UTC),
            ),
        )
        _refuse(self.records)


def _keep(run: Run, records: ShardRecords, failure: AttemptFailure, *, blamed: bool = True) -> bool:
    """Record a failed attempt. A lake that can't be written to must not hide why it failed.

    An attempt that is to be ``blamed`` counts unless it left more to the next one than all before
    it. A shard that fails each time still ends: its answers and its steps are finite, so one day
    there is no more to leave. Until then ``shard_retries`` bounds the attempts of a run.

    Returns:
        Whether it left more; False where the lake can't tell.
    """
    try:
        left = _left_to_the_next(records)
        known = max((each.progress for each in records.failures()), default=0)
        progressed = left > known
        counts = blamed and not progressed
        records.record_failure(failure.model_copy(update={"progress": left, "counts": counts}))
        if counts:
            records.judge(run.recipe.max_attempts, utc_now())
        return progressed
    except StorageError as error:
        logger.warning("%s: its failure can't be recorded: %s", records.place, error)
        return False


def _left_to_the_next(records: ShardRecords) -> int:
    """What the next attempt won't do again: answers in the journal, a training's kept steps."""
    storage = records.storage
    try:
        answers = answered(read_entries(storage, records.journal_folder))
        return answers + newest_step(storage, records.checkpoint_folder)
    except StorageError:
        return 0  # of a journal that can't be read nothing is left


def failure_of(error: BaseException, worker: str) -> AttemptFailure:
    """An error as the lake keeps it, with its traceback."""
    return AttemptFailure(
        error_type=type(error).__name__,
        message=str(error) or type(error).__name__,
        traceback="".join(traceback.format_exception(error)),
        worker=worker,
        ended_at=datetime.now(UTC),
    )


def _refuse(records: ShardRecords) -> None:
    record = records.quarantine()
    if record is not None:
        raise ShardQuarantined(records.place, record.attempts, record.error)
