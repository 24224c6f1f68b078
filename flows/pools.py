"""Work on a stage on Prefect's pools: as many flow runs of its deployment as it has workers."""

import time
from collections.abc import Callable, Collection
from functools import partial
from typing import Any, cast
from uuid import UUID

from prefect import get_run_logger
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.deployments import run_deployment
from prefect.exceptions import ObjectNotFound
from prefect.runtime import flow_run
from prefect.states import Cancelled, Crashed

from parrot_core.errors import ParrotError, RunStopped
from parrot_core.execution.plans import plan_stage, unfinished
from parrot_core.execution.runs import is_published
from parrot_core.lake.run import Run
from parrot_core.lake.run_records import StageRecords
from parrot_core.stages.base import Stage

POLL_S = 3.0
ENDS_WITHIN_S = 30.0
IDLE_LIVES = 3
"""So often may a stage's processes be lost without a sign of work in the lake."""


class StageFailed(ParrotError):
    """A stage that ran elsewhere did not complete."""


def run_on_pool(run: Run, stage: Stage, only: list[int] | None) -> None:
    """Run one stage as its deployment, on all its workers, and wait for it.

    A worker that is lost (killed, out of memory, its machine gone) is begun again while the others
    go on, as long as the lake shows that work was done meanwhile: what it had finished is there.

    Raises:
        StageFailed: it did not complete; what it finished is kept.
        RunStopped: it was cancelled.
    """
    done = partial(is_published, run, stage)
    workers = workers_wanted(run, stage, only)
    begin = partial(_begin, run, stage, only, workers)
    try:
        ended = _wait_for(begin, workers, done, _Losses(run, stage))
    except ObjectNotFound:  # workers that are left see that we have ended, and stop
        raise RunStopped(f"a flow run of '{stage.name}' was deleted in Prefect") from None
    if done():
        return
    states = [each.state for each in ended if each.state is not None]
    if any(state.type is StateType.CANCELLED for state in states):
        raise RunStopped(f"stage '{stage.name}' was cancelled in Prefect")
    how = "; ".join(f"{state.name}: {state.message}" for state in states)
    raise StageFailed(f"stage '{stage.name}' of run '{run.name}' ended as {how}")


def workers_wanted(run: Run, stage: Stage, only: Collection[int] | None) -> int:
    """How many flow runs work on it: as many as the recipe says, and no more than shards are left.

    On a cluster one begins the workers, and follows them.
    """
    most = 1 if run.recipe.cluster is not None else run.recipe.workers_of(stage.name)
    if most == 1:
        return 1
    try:
        left = unfinished(run, plan_stage(run, stage))
    except ParrotError:  # a source that this machine lacks, say; a worker finds out
        return most
    mine = [shard for shard in left if only is None or shard.index in only]
    return min(most, max(len(mine), 1))  # one that publishes


def _begin(
    run: Run, stage: Stage, only: list[int] | None, workers: int, number: int, life: int
) -> UUID:
    """Begin a worker; asked again after a lost answer, it is the same one."""
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
    return cast(FlowRun, made).id


class _Losses:
    """Workers that were lost, and whether the stage got further from one to the next."""

    def __init__(self, run: Run, stage: Stage) -> None:
        self._records = StageRecords(run.lake.storage, run.name, stage.name)
        self._stage = stage.name
        self._files = len(self._records.shard_files())
        self._idle = 0

    def worth_another(self, lost: FlowRun) -> bool:
        """Whether to begin it again."""
        files = len(self._records.shard_files())
        self._idle = self._idle + 1 if files == self._files else 0
        self._files = files
        if self._idle >= IDLE_LIVES:
            return False
        why = lost.state.message if lost.state else ""
        get_run_logger().warning("%s: %s was lost (%s); begun again", self._stage, lost.name, why)
        return True


def _wait_for(
    begin: Callable[[int, int], UUID], workers: int, done: Callable[[], bool], losses: _Losses
) -> list[FlowRun]:
    """The last flow run of each worker, when all have ended.

    When the stage is ``done``, those that are at it see so within seconds. Others were lost without
    a sign, or still wait for a machine.
    """
    until: float | None = None
    lives = {begin(number, 0): (number, 0) for number in range(1, workers + 1)}
    with get_client(sync_client=True) as client:
        while True:
            found = [client.read_flow_run(id) for id in lives]
            left = [each for each in found if each.state is None or not each.state.is_final()]
            if until is None and len(left) < len(found) and done():
                until = time.monotonic() + ENDS_WITHIN_S
            if until is None:
                for each in found:
                    crashed = each.state is not None and each.state.is_crashed()
                    if crashed and losses.worth_another(each):
                        number, life = lives.pop(each.id)
                        lives[begin(number, life + 1)] = (number, life + 1)
                        left.append(each)
            elif time.monotonic() >= until:
                for each in left:
                    client.set_flow_run_state(each.id, _end_of(each), force=True)
                return found
            if not left:
                return found
            time.sleep(POLL_S)


def _end_of(flow_run: FlowRun) -> State[Any]:
    if flow_run.state is not None and flow_run.state.is_running():
        return Crashed(message="its process is gone; other workers have done its share")
    return Cancelled(message="not needed: other workers were done before it began")
