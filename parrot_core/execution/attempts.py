"""What attempts at a shard leave when they fail: a record each, and quarantine after too many."""

import traceback
from collections.abc import Iterable
from typing import Any

from parrot_core.engines.types import RunError
from parrot_core.errors import ShardQuarantined, UserError
from parrot_core.lake.leases import Claims, Lease
from parrot_core.lake.quarantine import Quarantine
from parrot_core.lake.run import Run
from parrot_core.lake.run_records import StageRecords, utc_now
from parrot_core.stages.base import Stage


class Attempts:
    """The failed attempts at one shard of a stage."""

    def __init__(self, run: Run, stage: str, shard: int) -> None:
        """Nothing is read or written yet."""
        self._records = StageRecords(run.lake.storage, run.name, stage)
        self._quarantine = Quarantine(run.lake.storage, run.name, stage)
        self._shard = shard
        self._max = run.recipe.max_attempts
        self._place = f"run '{run.name}', shard {shard} of '{stage}'"

    def refuse(self) -> None:
        """Raise ShardQuarantined if the shard is in quarantine."""
        record = self._quarantine.of(self._shard)
        if record is not None:
            raise ShardQuarantined(self._place, record.attempts, record.error)

    def record(self, lease: Lease, started: str, error: Exception) -> None:
        """Keep the error that ended an attempt.

        One that stops the whole run (no money, a key refused) or that the user must mend first
        doesn't count against the shard.
        """
        self._keep(
            {
                "state": "failed",
                "error_type": type(error).__name__,
                "message": str(error) or type(error).__name__,
                "traceback": traceback.format_exc(),
                "worker": lease.worker,
                "started_at": started,
                "ended_at": utc_now(),
                "counts": not isinstance(error, RunError | UserError),
            }
        )

    def record_lost(self, claims: Claims, lease: Lease) -> None:
        """If the attempt before this one ended without a word, record that: a shard may be what
        kills its workers, by its memory for instance.

        Raises:
            ShardQuarantined: that was one attempt too many.
        """
        before = claims.read(lease.epoch - 1) if lease.epoch > 1 else None
        if before is None or before.state != "held":
            return
        what = f"its worker {before.holder.worker} was killed, or silent for too long"
        self._keep(
            {
                "state": "failed",
                "error_type": "WorkerLost",
                "message": what,
                "traceback": "",
                "worker": before.holder.worker,
                "ended_at": utc_now(),
                "counts": True,
            }
        )
        self.refuse()

    def _keep(self, failure: dict[str, Any]) -> None:
        self._records.record_failure(self._shard, failure)
        if not failure["counts"]:
            return
        failures = self._records.failures(self._shard)
        self._quarantine.judge(self._shard, failures, self._max, utc_now())


def pardon_all(run: Run, stages: Iterable[Stage]) -> dict[str, list[int]]:
    """Let a run try its shards in quarantine again; returns their numbers by stage."""
    pardoned = {}
    for stage in stages:
        quarantine = quarantine_of(run, stage.name)
        for shard in (held := sorted(quarantine.held())):
            quarantine.pardon(shard)
        if held:
            pardoned[stage.name] = held
    return pardoned


def quarantine_of(run: Run, stage: str) -> Quarantine:
    """The quarantine of one stage of a run."""
    return Quarantine(run.lake.storage, run.name, stage)
