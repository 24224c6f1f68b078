"""The plan of a stage: made once, kept in the lake, the same for all workers."""

from dataclasses import asdict, dataclass
from typing import Any

from parrot_core.lake.run import Run
from parrot_core.lake.run_records import StageRecords, utc_now
from parrot_core.stages.base import ShardPlan, Slice, Stage


@dataclass(frozen=True, slots=True)
class StagePlan:
    """What a stage will do: its inputs' versions and its shards. Immutable once stored."""

    stage: str
    output: str
    kind: str
    unit: str
    inputs: dict[str, str]
    shards: tuple[ShardPlan, ...]
    created_at: str


def plan_stage(run: Run, stage: Stage) -> StagePlan:
    """The stage's plan: the stored one, or a new one that is stored before it is used."""
    state = StageRecords(run.lake.storage, run.name, stage.name)
    stored = state.read_plan()
    if stored is None:
        plan = StagePlan(
            stage=stage.name,
            output=stage.output,
            kind=stage.kind,
            unit=stage.unit,
            inputs={name: run.version_of(name) for name in stage.reads(run)},
            shards=tuple(stage.plan(run)),
            created_at=utc_now(),
        )
        state.put_plan(asdict(plan))
        stored = state.read_plan()
        assert stored is not None
    return _plan_from_json(stored)


def unfinished(run: Run, plan: StagePlan) -> list[ShardPlan]:
    """Shards without a receipt, in order, but for those in quarantine."""
    records = StageRecords(run.lake.storage, run.name, plan.stage)
    skipped = records.finished()
    skipped |= records.quarantine.held().keys()
    return [shard for shard in plan.shards if shard.index not in skipped]


def _plan_from_json(data: dict[str, Any]) -> StagePlan:
    shards = tuple(
        ShardPlan(
            index=shard["index"],
            inputs=tuple(Slice(**piece) for piece in shard["inputs"]),
            params=shard["params"],
        )
        for shard in data["shards"]
    )
    return StagePlan(**{**data, "shards": shards})
