"""Work on a stage on a Ray cluster: a Ray task a worker, and a Prefect task that shows it.

Ray chooses the machines, and begins a worker again that was lost with its own. What is done, held
and left stays the lake's to say.
"""

import time
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from prefect import get_run_logger

from flows.portable import keys_wanted, with_absolute_paths
from parrot_core.engines.types import RunError
from parrot_core.errors import PartiallyFailed, RunStopped, WorkersLost
from parrot_core.execution.cluster_worker import Assignment, work
from parrot_core.execution.plans import plan_stage, unfinished
from parrot_core.execution.publication import publish_stage
from parrot_core.execution.ray_cluster import check_nodes, connected, fitting_nodes, needs_of
from parrot_core.execution.runs import is_published
from parrot_core.lake.holder import this_process
from parrot_core.lake.manifest import Manifest
from parrot_core.lake.run import Run
from parrot_core.lake.run_records import StageRecords
from parrot_core.recipe import Cluster
from parrot_core.stages.base import Stage
from parrot_core.telemetry.stop_request import GRACE_S, stop_request
from tasks.workers import Followed, follow_worker

WAIT_S = 1.0
ENDS_WITHIN_S = 15.0
"""Workers see within seconds that their stage is published; who doesn't still waits for a node."""
STOPS_WITHIN_S = GRACE_S + 3.0


def work_on_ray(
    run: Run,
    stage: Stage,
    cluster: Cluster,
    only: Collection[int] | None,
    look: Callable[[], None],
) -> Manifest:
    """Let workers on the cluster do the shards that are left, and publish.

    Args:
        run: whose stage it is.
        stage: the stage.
        cluster: where.
        only: the numbers of the shards to do; all that are left when None.
        look: called every second or so.

    Raises:
        UserError: the cluster can't be reached, or none of its nodes is fit.
        WorkersLost: the cluster is gone.
        RunStopped: this process is to stop; the workers have.
        PartiallyFailed: some shards failed; the others are kept.
        RunError: an engine stopped the workers.
    """
    plan = plan_stage(run, stage)
    left = [shard for shard in unfinished(run, plan) if only is None or shard.index in only]
    workers = min(run.recipe.workers_of(stage.name), len(left))
    if workers:
        recipe = with_absolute_paths(run.recipe)
        text, shards = recipe.model_dump_json(), None if only is None else tuple(only)
        with connected(cluster.address) as head, _proof(run, stage) as proof:
            needs = needs_of(run, stage, cluster)
            nodes = fitting_nodes(stage.name, needs, cluster.autoscales)
            check_nodes(nodes, recipe.lake, proof, keys_wanted(recipe, stage.engines(run)))
            if (room := sum(node.room(needs) for node in nodes)) < workers:
                get_run_logger().warning(
                    "%s: there is room for %d of %d workers; the others wait for it",
                    *(stage.name, room, workers),
                )
            team = _Team(lambda: is_published(run, stage))
            for number in range(1, workers + 1):
                given = Assignment(text, run.name, stage.name, shards, proof, number, workers)
                team.begin(given, needs)
            failures = team.follow(look, head.check)
        if not is_published(run, stage):
            _raise_worst(failures)
    return publish_stage(run, stage, plan)


@contextmanager
def _proof(run: Run, stage: Stage) -> Iterator[str]:
    """A file that is in this lake and in no other one, as long as the workers are at it."""
    storage = run.lake.storage
    folder = f"{StageRecords(storage, run.name, stage.name).folder}/cluster/{uuid.uuid4().hex[:12]}"
    storage.write_json(f"{folder}/driver", {"driver": this_process().worker})
    try:
        yield f"{folder}/driver"
    finally:
        storage.delete(storage.list(folder))


def _raise_worst(failures: Sequence[Exception]) -> None:
    """Raise what explains best why nothing was published; failed shards explain themselves."""
    rest = [each for each in failures if not isinstance(each, PartiallyFailed)]
    if rest:
        raise next((each for each in rest if isinstance(each, RunError)), rest[0])


class _Team:
    """Workers of one stage, as Ray tasks."""

    def __init__(self, done: Callable[[], bool]) -> None:
        """``done`` says whether there is nothing left to do."""
        import ray

        self._ray = ray
        self._done = done
        self._at_work: dict[Any, Followed] = {}
        self._failures: list[Exception] = []
        # A process that ends with its task frees what the task held.
        self._work = ray.remote(max_calls=1)(work)

    def begin(self, assignment: Assignment, needs: Mapping[str, float]) -> None:
        """Begin a worker, now or when a node has room, and a Prefect task that ends as it does."""
        custom = {name: much for name, much in needs.items() if name not in ("CPU", "GPU")}
        task = self._work.options(
            name=assignment.name,
            num_cpus=needs["CPU"],
            num_gpus=needs["GPU"],
            resources=custom,
            max_retries=-1,
            scheduling_strategy="SPREAD",
        )
        followed = Followed()
        self._at_work[task.remote(assignment)] = followed
        follow_worker.submit(assignment.name, followed)

    def follow(self, *looks: Callable[[], None]) -> Sequence[Exception]:
        """Wait until all have ended; returns what failed.

        Raises:
            RunStopped: this process is to stop.
            WorkersLost: the cluster is gone.
        """
        until: float | None = None
        try:
            while self._at_work and (until is None or time.monotonic() < until):
                stop_request().check()
                for look in looks:
                    look()
                if self._settle(WAIT_S) and until is None and self._done():
                    until = time.monotonic() + ENDS_WITHIN_S
            self._end("not needed: the stage is done")
        except BaseException as error:  # Prefect's signal of a cancelled flow run is one
            self._end(error if isinstance(error, WorkersLost) else RunStopped(str(error)))
            raise
        return self._failures

    def _settle(self, wait_s: float) -> bool:
        """Wait for a worker to end; whether one has."""
        try:
            ready, _ = self._ray.wait(list(self._at_work), timeout=wait_s)
        except ConnectionError as error:
            raise WorkersLost(f"the Ray cluster is gone: {error}") from error
        for ref in ready:
            end = self._at_work.pop(ref).end
            try:
                self._ray.get(ref)
                end.set_result("the stage is done")
            except self._ray.exceptions.RayTaskError as error:
                error.cause.__cause__ = error  # whose text is the traceback over there
                self._failures.append(error.cause)
                end.set_exception(error.cause)
            except self._ray.exceptions.TaskCancelledError:
                end.set_exception(RunStopped("cancelled in Ray"))
                self._failures.append(RunStopped("a worker was cancelled in Ray"))
            except self._ray.exceptions.RayError as error:
                lost = WorkersLost(f"a worker ended: {' '.join(str(error).split())}")
                self._failures.append(lost)
                end.set_exception(lost)
        return bool(ready)

    def _end(self, why: str | Exception) -> None:
        """Stop those that are still there: they keep what is in flight and let go of shards."""
        left, until = list(self._at_work), time.monotonic() + STOPS_WITHIN_S
        if left and not isinstance(why, WorkersLost):
            try:
                for ref in left:
                    self._ray.cancel(ref)
                self._ray.wait(left, num_returns=len(left), timeout=until - time.monotonic())
            except ConnectionError:
                pass  # they end with the cluster
        for ref in left:
            end = self._at_work.pop(ref).end
            end.set_result(why) if isinstance(why, str) else end.set_exception(why)
