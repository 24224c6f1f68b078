"""What state a stage and a run are in: one definition for page, terminal, metrics and report.

A worker shows that it is there by its presence, and by the progress of its shards. Both are
renewed every five seconds, so that a killed run is seen within twenty, and a model that loads for
minutes isn't taken for one.
"""

from collections.abc import Sequence
from datetime import datetime

from parrot_core.lake.attempts import AttemptFailure
from parrot_core.lake.presence import WORKING
from parrot_core.monitor.shard_state import BUDGET_ERROR, ShardState, StageWorker
from parrot_core.monitor.state import (
    RunHeader,
    RunStatus,
    StageState,
    StageStatus,
)

SETTLED_AFTER_S = 10.0
"""A stage with failed and waiting shards, none in work, counts as failed after so long."""

GAP_S = 60.0
"""Between two stages nobody is there for a moment; a longer silence is called stalled."""

ENDED = ("failed", "partially_failed", "budget_reached", "paused", "cancelled")
"""States of a stage that nobody works on, and that an error ended."""

PRECEDENCE: tuple[RunStatus, ...] = (
    *("running", "starting", "paused", "partially_failed", "failed"),
    *("budget_reached", "cancelled", "stalled"),
)
"""Of the states of a run's stages the first of these is the run's."""


def stage_status(
    shards: Sequence[ShardState],
    workers: Sequence[StageWorker],
    failure: AttemptFailure | None,
    now: datetime,
) -> StageStatus:
    """The status of a stage that is not published yet."""
    having = {shard.status for shard in shards}
    running = [shard for shard in shards if shard.status == "running"]
    alive = [each for each in workers if each.alive]
    if running and workers and not alive:
        return "stalled"  # their last words are fresh, but their processes are gone
    if running:
        return "paused" if all(shard.paused for shard in running) else "running"
    if alive:
        return "running" if any(each.doing == WORKING for each in alive) else "starting"
    lost = "stalled" in having or bool(workers)  # a worker that ends leaves no record behind
    if lost and not _ended_since(failure, shards, workers):
        return "stalled"
    return _unattended(shards, failure, now)


def _ended_since(
    failure: AttemptFailure | None, shards: Sequence[ShardState], workers: Sequence[StageWorker]
) -> bool:
    """Whether the stage ended by an error after those that were lost had last been heard of."""
    lost = [each.updated_at for each in shards if each.status == "stalled"]
    lost += [each.updated_at for each in workers]
    return failure is not None and all(heard is None or heard <= failure.ended_at for heard in lost)


def _unattended(
    shards: Sequence[ShardState], failure: AttemptFailure | None, now: datetime
) -> StageStatus:
    """Of a stage that nobody is at, and that nobody left by being killed."""
    having = {shard.status for shard in shards}
    if failure is not None and failure.error_type != BUDGET_ERROR and "failed" not in having:
        return "failed"
    if failure is not None and failure.error_type == BUDGET_ERROR:
        return "budget_reached"
    if having <= {"waiting"}:
        return "waiting"
    last = max((s.updated_at for s in shards if s.updated_at), default=None)
    settled = last is None or (now - last).total_seconds() > SETTLED_AFTER_S
    if "failed" in having and ("waiting" not in having or settled):
        return "partially_failed" if "done" in having else "failed"
    if any(shard.out_of_money for shard in shards):
        return "budget_reached"
    if "paused" in having:
        return "paused"
    return "stalled" if settled and "waiting" in having else "running"


def run_status(
    header: RunHeader, stages: Sequence[StageState], updated: datetime | None, now: datetime
) -> RunStatus:
    having = {stage.status for stage in stages}
    if having <= {"done", "pinned", "skipped"}:
        return "done"
    begun = _begun(stages, having, updated, now)
    if header.stop and begun in ("waiting", "running", "stalled") and not _attended(stages):
        return "cancelled"
    if header.pause and begun not in ("failed", "partially_failed", "cancelled"):
        return "paused"
    return begun


def _attended(stages: Sequence[StageState]) -> bool:
    return any(stage.attended for stage in stages)


def _begun(
    stages: Sequence[StageState],
    having: set[StageStatus],
    updated: datetime | None,
    now: datetime,
) -> RunStatus:
    for status in PRECEDENCE:
        if status in having:
            return status
    if having <= {"waiting", "pinned", "skipped"} and not any(stage.planned_at for stage in stages):
        return "waiting"
    silent = updated is None or (now - updated).total_seconds() > GAP_S
    return "stalled" if silent else "running"
