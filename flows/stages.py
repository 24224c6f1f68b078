"""One flow a stage: plan, map ``process_shard`` over the shards, publish."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, cast
from uuid import UUID

from prefect import Flow, flow, get_run_logger
from prefect.artifacts import (
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.futures import PrefectFuture, wait
from prefect.runtime import flow_run

from flows.announce import StageAnnouncer
from flows.logs import listen
from flows.server_outage import tried
from parrot_core.engines.types import EngineDied
from parrot_core.errors import StorageError
from parrot_core.execution.attempts import quarantine_of
from parrot_core.execution.runner import (
    OpenStage,
    begin_run,
    budget_of,
    is_pinned,
    is_published,
    open_stage,
    unfinished,
)
from parrot_core.lake.manifest import Manifest
from parrot_core.lake.requests import counted
from parrot_core.lake.run import Run
from parrot_core.monitor.reader import RunReader
from parrot_core.monitor.state import StageSpec
from parrot_core.recipe import Recipe
from parrot_core.stages.base import Stage
from parrot_core.stages.registry import stage_named
from parrot_core.stages.training.summary import training_summary
from parrot_core.telemetry.execution_context import in_context
from parrot_core.telemetry.tracing import span, start_tracing
from tasks.shards import ShardTicket, process_shard

StageFlow = Flow[[Recipe, str | None, list[int] | None], None]

ARTIFACT_EVERY_S = 10.0  # an update costs the server 50 ms


def run_stage(run: Run, stage: Stage, only: Sequence[int] | None = None) -> None:
    """Make the stage's version of this run, unless it is there.

    With ``only``, just these of its shards; it is published when no other one is missing.

    Raises:
        MissingVersion: an input has not been published.
        PartiallyFailed: some shards failed; the others are kept.
        RunError: an engine stopped the whole run. One of ours that died is started again, as
            often as a shard is retried.
    """
    logger = get_run_logger()
    if is_published(run, stage):
        how = "pinned to" if is_pinned(run, stage) else "already published as"
        logger.info("%s %s %s", stage.output, how, run.version_of(stage.output))
        return
    listen()
    start_tracing(run.recipe.traces)
    with in_context(run.name, stage.name), span(f"stage {stage.name}") as made:
        manifest = _make(run, stage, only)
        made.set_attribute("parrot.rows_in", manifest.accounting.rows_in)
        made.set_attribute("parrot.rows_out", manifest.accounting.rows_out)
        made.set_attribute("parrot.usd", manifest.usd)
    tried(lambda: _accounts_artifact(manifest))
    if manifest.kind == "model":
        tried(lambda: _training_artifact(manifest))
    logger.info(
        "published %s@%s: %d %ss in, %d out, %d rejected",
        *(manifest.name, manifest.version, manifest.accounting.rows_in, manifest.accounting.unit),
        *(manifest.accounting.rows_out, manifest.accounting.rows_rejected),
    )


def _make(run: Run, stage: Stage, only: Sequence[int] | None) -> Manifest:
    """Work through the stage, again with new engines while one of ours dies."""
    logger = get_run_logger()
    starts_left = run.recipe.shard_retries
    while True:
        try:
            with counted(run.lake.storage, run.name, stage.name):
                return _work_through(run, stage, only)
        except EngineDied as error:
            if not starts_left:
                raise
            starts_left -= 1
            logger.warning("%s; starting the engines again", error)


def _work_through(run: Run, stage: Stage, only: Sequence[int] | None) -> Manifest:
    """Do the shards that are left, with engines of their own, and publish."""
    logger = get_run_logger()
    with open_stage(run, stage, budget_of(run)) as opened:
        left = unfinished(run, opened.plan)
        shards = [shard for shard in left if only is None or shard.index in only]
        logger.info("%s: %d of %d shards to do", stage.name, len(shards), len(opened.plan.shards))
        for index, record in sorted(quarantine_of(run, stage.name).held().items()):
            logger.warning("%s: shard %d is skipped: %s", stage.name, index, record)
        work = process_shard.with_options(retries=run.recipe.shard_retries)
        futures = [
            work.submit(f"{stage.name}-{shard.index:05d}", ShardTicket(opened, shard))
            for shard in shards
        ]
        _wait_showing_progress(opened, futures)
    return opened.publish()


def _wait_showing_progress(opened: OpenStage, futures: list[PrefectFuture[dict[str, int]]]) -> None:
    """Wait for all shards, whatever becomes of them, and keep a progress artifact moving.

    Neither a lake nor a Prefect server that can't be reached for a look ends the work.
    """
    run, stage = opened.run, opened.stage
    reader = RunReader(run.lake, run.name, [StageSpec(stage.name, stage.output, stage.kind)])
    artifact: UUID | None = None
    watch = StageAnnouncer(run.name)
    while wait(futures, timeout=ARTIFACT_EVERY_S).not_done:
        now = datetime.now(UTC)
        try:
            state = reader.read(now).stages[0]
        except StorageError as error:
            get_run_logger().warning("%s: progress can't be read now: %s", stage.name, error)
            continue
        watch.look(state, now)
        show = partial(_show_progress, f"progress-{stage.name}", state.percent or 0.0, artifact)
        artifact = tried(show, patient=False) or artifact


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
        {"what": "dollars", "count": round(manifest.usd, 4)},
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


def _flow_of(stage: Stage) -> StageFlow:
    def make(recipe: Recipe, run: str | None = None, shards: list[int] | None = None) -> None:
        run_stage(begin_run(recipe, run, alone=stage.name), stage, shards)

    make.__doc__ = f"""Make {stage.output} from {", ".join(stage.inputs) or "the sources"}.

    Args:
        recipe: everything the run can be told.
        run: name of the run and of the version; the recipe's own name when left out.
        shards: only these; all that are missing when left out.
    """

    def named() -> str:
        given = flow_run.parameters
        return f"{given.get('run') or given['recipe'].name}-{stage.name}"

    return flow(name=stage.name, flow_run_name=named)(make)


ingest = _flow_of(stage_named("ingest"))
assemble = _flow_of(stage_named("assemble"))
train_ask = _flow_of(stage_named("train-ask"))
seeds = _flow_of(stage_named("seeds"))
synthesize = _flow_of(stage_named("synthesize"))
filter_dialogues = _flow_of(stage_named("filter"))
train_sft = _flow_of(stage_named("train-sft"))
select = _flow_of(stage_named("select"))
capo = _flow_of(stage_named("capo"))
train_dpo = _flow_of(stage_named("train-dpo"))
evaluate = _flow_of(stage_named("evaluate"))
compare = _flow_of(stage_named("compare"))

STAGE_FLOWS: tuple[StageFlow, ...] = (
    ingest,
    assemble,
    train_ask,
    seeds,
    synthesize,
    filter_dialogues,
    train_sft,
    select,
    capo,
    train_dpo,
    evaluate,
    compare,
)
"""One a stage, in the order of ``parrot_core.stages.registry.STAGES``."""
