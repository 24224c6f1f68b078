"""Work on a stage on Prefect's pools: as many flow runs of its deployment as it has workers."""

import time
from collections.abc import Sequence
from itertools import count
from typing import cast
from uuid import UUID

from prefect import get_run_logger
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.deployments import run_deployment
from prefect.exceptions import ObjectNotFound
from prefect.runtime import flow_run

from parrot_core.errors import ParrotError, RunStopped
from parrot_core.execution.runs import is_published
from parrot_core.lake.run import Run
from parrot_core.lake.run_records import StageRecords
from parrot_core.stages.base import Stage

POLL_S = 3.0
IDLE_LIVES = 3
"""So often may a stage's processes be lost without a sign of work in the lake."""


class StageFailed(ParrotError):
    """A stage that ran elsewhere did not complete."""


def run_on_pool(run: Run, stage: Stage, only: list[int] | None) -> None:
    """Run one stage as its deployment, on all its workers, and wait for it.

    Workers that are lost (killed, out of memory, their machine gone) are started again, as long
    as the lake shows that work was done meanwhile: what they had finished is there.

    Raises:
        StageFailed: it did not complete; what it finished is kept.
        RunStopped: it was cancelled.
    """
    records, idle = StageRecords(run.lake.storage, run.name, stage.name), 0
    for life in count():
        before = len(records.shard_files())
        ended = _wait_for(_begin(run, stage, only, life))
        if is_published(run, stage):
            return
        states = [each.state for each in ended if each.state is not None]
        if any(state.type is StateType.CANCELLED for state in states):
            raise RunStopped(f"stage '{stage.name}' was cancelled in Prefect")
        lost = [state for state in states if state.type is StateType.CRASHED]
        idle = idle + 1 if len(records.shard_files()) == before else 0
        if not lost or idle >= IDLE_LIVES:
            how = "; ".join(f"{state.name}: {state.message}" for state in states)
            raise StageFailed(f"stage '{stage.name}' of run '{run.name}' ended as {how}")
        get_run_logger().warning(
            "%s: %d of its workers were lost (%s); begun again",
            *(stage.name, len(lost), lost[0].message),
        )


def _begin(run: Run, stage: Stage, only: list[int] | None, life: int) -> list[UUID]:
    """Begin all workers together; asked again after a lost answer, they are the same ones."""
    # On a cluster one flow run begins the workers, and follows them.
    workers = 1 if run.recipe.cluster else run.recipe.workers_of(stage.name)
    begun = []
    for number in range(1, workers + 1):
        name = f"{run.name}-{stage.name}" + (f" worker {number}/{workers}" if workers > 1 else "")
        made = run_deployment(
            f"{stage.name}/{stage.name}",
            parameters={
                "recipe": run.recipe.model_dump(mode="json"),
                "run": run.name,
                "shards": only,
            },
            flow_run_name=name,
            tags=["parrot"],
            timeout=0,
            idempotency_key=f"{flow_run.id}-{flow_run.run_count}-{stage.name}-{life}-{number}",
        )
        begun.append(cast(FlowRun, made).id)
    return begun


def _wait_for(begun: Sequence[UUID]) -> list[FlowRun]:
    with get_client(sync_client=True) as client:
        while True:
            try:
                found = [client.read_flow_run(id) for id in begun]
            except ObjectNotFound:  # those that are left see that we have ended, and stop
                raise RunStopped("a stage's flow run was deleted in Prefect") from None
            if all(each.state is not None and each.state.is_final() for each in found):
                return found
            time.sleep(POLL_S)
