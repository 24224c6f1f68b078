"""One flow a stage: a worker that pulls shards until the stage is done, and publishes it."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache, partial
from typing import Any, cast
from uuid import UUID

from prefect import Flow, flow, get_run_logger
from prefect.artifacts import (
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Cancelled
from prefect.task_runners import ThreadPoolTaskRunner

from flows.announce import BUDGET, PARTIAL, StageAnnouncer, emit, resource_of
from flows.logs import listen
from flows.outcome import check_completed, ended
from flows.ray_workers import work_on_ray
from flows.server_outage import tried
from flows.stopping import flow_runs_here, look_for_cancellation, stopping_on_signals
from parrot_core.engines.types import BudgetReached
from parrot_core.errors import PartiallyFailed, RunStopped, StorageError
from parrot_core.execution.plans import unfinished
from parrot_core.execution.runs import begin_run, budget_of, is_pinned, is_published
from parrot_core.execution.shard_queue import Pulled
from parrot_core.execution.stage_worker import Handle, complete_stage, open_stage
from parrot_core.lake.manifest import Manifest
from parrot_core.lake.run import Run
from parrot_core.lake.run_records import StageRecords
from parrot_core.monitor.costs import cost_of, known_usd
from parrot_core.monitor.reader import RunReader
from parrot_core.recipe import Recipe
from parrot_core.stages.base import Stage
from parrot_core.stages.registry import STAGES
from parrot_core.stages.training.summary import training_summary
from parrot_core.telemetry.execution_context import in_context
from parrot_core.telemetry.tracing import span, start_tracing
from tasks.shards import ShardTicket, process_shard

StageFlow = Flow[[Recipe, str | None, list[int] | None], State[Any] | None]

ARTIFACT_EVERY_S = 10.0  # an update costs the server 50 ms
CANCEL_EVERY_S = 5.0


def run_stage(run: Run, stage: Stage, only: Sequence[int] | None = None) -> None:
    """Make the stage's version of this run, unless it is there.

    With ``only``, just these of its shards; it is published when no other one is missing.

    Raises:
        MissingVersion: an input has not been published.
        PartiallyFailed: some shards failed; the others are kept.
        RunError: an engine stopped the whole run. One of ours that died is started again: as
            often as a shard is retried, and always if it got further.
    """
    logger = get_run_logger()
    if is_published(run, stage):
        how = "pinned to" if is_pinned(run, stage) else "already published as"
        logger.info("%s %s %s", stage.output, how, stage.version(run))
        return
    listen()
    start_tracing(run.recipe.traces)
    with in_context(run.name, stage.name), span(f"stage {stage.name}") as made:
        try:
            manifest = complete_stage(run, stage, partial(_work_through, run, stage, only), logger)
        except (BudgetReached, PartiallyFailed) as error:  # known here alone, on a pool
            event = BUDGET if isinstance(error, BudgetReached) else PARTIAL
            emit(event, resource_of(run.name, stage.name, str(error)))
            raise
        made.set_attribute("parrot.rows_in", manifest.accounting.rows_in)
        made.set_attribute("parrot.rows_out", manifest.accounting.rows_out)
        if (usd := known_usd(manifest.usage.items(), manifest.recipe)) is not None:
            made.set_attribute("parrot.usd", usd)
    tried(lambda: _accounts_artifact(manifest))
    if manifest.kind == "model":
        tried(lambda: _training_artifact(manifest))
    logger.info(
        "published %s@%s: %d %ss in, %d out, %d rejected",
        *(manifest.name, manifest.version, manifest.accounting.rows_in, manifest.accounting.unit),
        *(manifest.accounting.rows_out, manifest.accounting.rows_rejected),
    )


def _work_through(run: Run, stage: Stage, only: Sequence[int] | None) -> Manifest:
    """Do the shards that are left, with engines of their own, and publish."""
    if run.recipe.cluster is not None:
        return work_on_ray(run, stage, run.recipe.cluster, only, _Watch(run, stage))
    logger = get_run_logger()
    with open_stage(run, stage, budget_of(run)) as opened:
        left = unfinished(run, opened.plan)
        logger.info("%s: %d of %d shards left", stage.name, len(left), len(opened.plan.shards))
        quarantine = StageRecords(run.lake.storage, run.name, stage.name).quarantine
        for index, record in sorted(quarantine.held().items()):
            logger.warning("%s: shard %d is skipped: %s", stage.name, index, record)
        work = process_shard.with_options(retries=run.recipe.shard_retries)

        def submit(pulled: Pulled) -> Handle:
            label = f"{stage.name}-{pulled.shard.index:05d}"
            return work.submit(label, ShardTicket(opened, pulled))

        opened.work_through(submit, only, _Watch(run, stage))
    return opened.publish()


class _Watch:
    """Keeps a progress artifact moving, sends events, and notices a cancelled flow run.

    Neither a lake nor a Prefect server that can't be reached for a look ends the work.
    """

    def __init__(self, run: Run, stage: Stage) -> None:
        self._stage = stage.name
        self._reader = RunReader(run.lake, run.name, [stage.spec])
        self._announcer = StageAnnouncer(run.name)
        self._flow_runs = flow_runs_here()
        self._artifact: UUID | None = None
        self._next_s = time.monotonic() + ARTIFACT_EVERY_S
        self._next_cancel_s = time.monotonic() + CANCEL_EVERY_S

    def __call__(self) -> None:
        now_s = time.monotonic()
        if now_s >= self._next_cancel_s:
            self._next_cancel_s = now_s + CANCEL_EVERY_S
            look_for_cancellation(self._flow_runs)
        if now_s < self._next_s:
            return
        self._next_s = now_s + ARTIFACT_EVERY_S
        now = datetime.now(UTC)
        try:
            state = self._reader.read(now).stages[0]
        except StorageError as error:
            get_run_logger().warning("%s: progress can't be read now: %s", self._stage, error)
            return
        self._announcer.look(state, now)
        key = f"progress-{self._stage}"
        show = partial(_show_progress, key, state.percent or 0.0, self._artifact)
        self._artifact = tried(show, patient=False) or self._artifact


def _show_progress(key: str, percent: float, artifact: UUID | None) -> UUID:
    """Write the progress artifact, a new one if there is none; returns which it is."""
    if artifact is None:
        return cast(UUID, create_progress_artifact(percent, key=key))
    update_progress_artifact(artifact, percent)
    return artifact


def _accounts_artifact(manifest: Manifest) -> None:
    accounting = manifest.accounting
    rows: list[dict[str, Any]] = [
        {"what": f"{accounting.unit}s in", "count": accounting.rows_in},
        {"what": "rows out", "count": accounting.rows_out},
        *({"what": f"rejected: {why}", "count": n} for why, n in accounting.rejected.items()),
        {"what": "cost", "count": cost_of(manifest.usage.items(), manifest.recipe)},
    ]
    create_table_artifact(
        rows, key=f"accounts-{manifest.stage}", description=f"{manifest.name}@{manifest.version}"
    )


def _training_artifact(manifest: Manifest) -> None:
    """Held-out figures before and after, and the curve; the whole one is in the manifest."""
    create_markdown_artifact(
        training_summary(manifest),
        key=f"training-{manifest.stage}",
        description=f"{manifest.name}@{manifest.version}",
    )


@cache
def flow_of(stage: Stage) -> StageFlow:
    """The flow of a stage, made when it is first wanted: each makes the recipe's form anew."""

    def make(
        recipe: Recipe, run: str | None = None, shards: list[int] | None = None
    ) -> State[Any] | None:
        with stopping_on_signals():
            try:
                run_stage(begin_run(recipe, run, alone=stage.name), stage, shards)
            except RunStopped as stopped:
                return Cancelled(message=str(stopped))
        return None

    make.__doc__ = f"""Make {stage.output} from {", ".join(stage.inputs) or "the sources"}.

    Args:
        recipe: everything the run can be told.
        run: name of the run and of the version; the recipe's own name when left out.
        shards: only these; all that are missing when left out.
    """

    def named() -> str:
        given = flow_run.parameters
        name = f"{given.get('run') or given['recipe'].name}-{stage.name}"
        asked = flow_run.name or ""  # on a pool, by who began the workers
        return asked if asked.startswith(f"{name} worker ") else name

    return flow(name=stage.name, flow_run_name=named)(make)


def __getattr__(name: str) -> StageFlow:
    """A stage's flow, as a deployment's entrypoint names it: ``flows.stages.train_ask``."""
    for stage in STAGES:
        if stage.name.replace("-", "_") == name:
            return flow_of(stage)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def run_here(run: Run, stage: Stage, only: list[int] | None = None) -> None:
    """Run a stage's flow in this process.

    Raises:
        RunStopped: this process is to stop, or the flow run was cancelled.
    """
    workers = run.recipe.workers_of(stage.name) if run.recipe.cluster else 1
    most = max(run.recipe.shards_at_once, workers)
    at_once: ThreadPoolTaskRunner[Any] = ThreadPoolTaskRunner(most)
    made = flow_of(stage).with_options(task_runner=cast(Any, at_once))
    check_completed(ended(lambda: made(run.recipe, run.name, only, return_state=True)))
