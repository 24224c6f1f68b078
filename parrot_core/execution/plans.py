"""The plan of a stage: made once, kept in the lake, the same for all workers."""

from parrot_core.lake.run import Run
from parrot_core.lake.run_records import StageRecords, utc_now
from parrot_core.lake.stage_plan import ShardPlan, StagePlan
from parrot_core.stages.base import Stage


def plan_stage(run: Run, stage: Stage) -> StagePlan:
    """The stage's plan: the stored one, or a new one that is stored before it is used."""
    state = StageRecords(run.lake.storage, run.name, stage.name)
    if (stored := state.plan()) is not None:
        return stored
    return state.put_plan(
        StagePlan(
            stage=stage.name,
            output=stage.output,
            kind=stage.kind,
            unit=stage.unit,
            inputs={name: run.version_of(name) for name in stage.reads(run)},
            shards=tuple(stage.plan(run)),
            created_at=utc_now(),
        )
    )


def unfinished(run: Run, plan: StagePlan) -> list[ShardPlan]:
    """Shards without a receipt, in order, but for those in quarantine."""
    records = StageRecords(run.lake.storage, run.name, plan.stage)
    skipped = records.finished()
    skipped |= records.quarantine.held().keys()
    return [shard for shard in plan.shards if shard.index not in skipped]
