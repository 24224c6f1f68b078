"""Planning, resuming, retrying, accounting and publication, once for all stages.

Prefect's tasks call :func:`plan_stage`, :func:`run_shard` and :func:`publish_stage`; each is safe
to call again, from another process or machine, at any time.
"""

import hashlib
import logging
import os
import re
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import parrot_core
from parrot_core.engines.connection import Engines, open_engines
from parrot_core.engines.limits.limits import Budget
from parrot_core.engines.types import RunError
from parrot_core.errors import (
    LeaseLost,
    MissingRun,
    PartiallyFailed,
    RecipeChanged,
    ShardQuarantined,
    StorageError,
    UserError,
    VersionConflict,
)
from parrot_core.execution.attempts import Attempts, quarantine_of
from parrot_core.execution.rejects import check_stage_names, refuse_nothing
from parrot_core.execution.shard_work import LakeShardWork
from parrot_core.lake.holder import this_process
from parrot_core.lake.lake import Lake, version_folder
from parrot_core.lake.leases import DEFAULT_TIMES, Claims, Lease, LeaseTimes, take
from parrot_core.lake.manifest import Accounting, Fingerprint, Manifest, Receipt, add_usage
from parrot_core.lake.pauses import Pauses
from parrot_core.lake.pins import is_unneeded
from parrot_core.lake.requested_stages import RequestedStages
from parrot_core.lake.run import Run
from parrot_core.lake.run_records import StageRecords, run_file, utc_now
from parrot_core.lake.shard_writer import attempt_of
from parrot_core.lake.storage import to_json
from parrot_core.recipe import SLUG, Recipe, differences, parse_recipe
from parrot_core.schemas import DATASETS
from parrot_core.stages.base import ShardPlan, Slice, Stage
from parrot_core.telemetry.execution_context import in_context
from parrot_core.telemetry.tracing import span

logger = logging.getLogger(__name__)

PAUSE_POLL_S = 2.0


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


def begin_run(
    recipe: Recipe,
    name: str | None = None,
    lake_url: str | None = None,
    stages: Sequence[str] | None = None,
    alone: str | None = None,
) -> Run:
    """Open a run, or resume the one of this name.

    Args:
        recipe: everything the run can be told.
        name: the run's; the recipe's own when left out.
        lake_url: where; as the recipe says when left out.
        stages: the only stages that this run is for; all when left out. A run that is resumed
            stays what it was begun for.
        alone: the stage for whose sake the run is opened, if nobody has asked for others.

    Raises:
        RecipeChanged: it was begun with a recipe that would produce something else.
        UserError: a limit on rejects names a stage that doesn't exist.
    """
    check_stage_names(recipe)
    lake = Lake(lake_url or recipe.lake)
    run_name = checked_name(name or recipe.name)
    record: dict[str, Any] = {
        "name": run_name,
        "id": uuid.uuid4().hex,  # no two writers write the same, so that only one has begun it
        "recipe": recipe.model_dump(mode="json"),
        "fingerprint": recipe.fingerprint(),
        "created_at": utc_now(),
        "code_version": parrot_core.__version__,
    }
    if stages is not None:
        record["stages"] = list(stages)
    asked = RequestedStages(lake.storage, run_name)
    if lake.storage.put_if_absent(run_file(run_name), to_json(record)):
        if alone is not None:
            asked.put((alone,))
    else:
        record = lake.storage.read_json(run_file(run_name))
        before = parse_recipe(record["recipe"])
        if before.fingerprint() != recipe.fingerprint():
            changed = list(differences(before.canonical(), recipe.canonical()))
            raise RecipeChanged(run_name, changed)
        if alone is not None:
            asked.extend(alone)
    return Run(run_name, recipe, lake, work_folder(lake, run_name), _stages_in(record))


def ask_for(run: Run, stages: Sequence[Stage] | None) -> None:
    """Keep with the run which of its stages are wanted now; None for all it was begun for."""
    names = None if stages is None else [stage.name for stage in stages]
    RequestedStages(run.lake.storage, run.name).put(names)


def checked_name(name: str) -> str:
    """The name, if it can be a run's: it becomes a folder's.

    Raises:
        UserError: it can't.
    """
    if not re.fullmatch(SLUG, name):
        raise UserError(
            f"run {name!r}: expected up to 100 letters, digits, dots, dashes and underscores, the "
            "first a letter or digit"
        )
    return name


def open_run(lake: Lake, name: str) -> Run:
    """A run that was begun before, with the recipe it was begun with.

    Raises:
        MissingRun: no run of this name is in the lake.
    """
    try:
        record = lake.storage.read_json(run_file(checked_name(name)))
    except FileNotFoundError:
        runs = [path.split("/")[1] for path in lake.storage.list("runs")]
        raise MissingRun(name, sorted(set(runs))) from None
    recipe = parse_recipe(record["recipe"])
    return Run(name, recipe, lake, work_folder(lake, name), _stages_in(record))


def _stages_in(record: Mapping[str, Any]) -> tuple[str, ...] | None:
    stages = record.get("stages")
    return None if stages is None else tuple(stages)


def work_folder(lake: Lake, run: str) -> Path:
    """Local scratch of a run, below ``$PARROT_WORK`` or ``.parrot/work`` here.

    Runs of one name in two lakes must not meet: one would resume the other's training.
    """
    base = Path(os.environ.get("PARROT_WORK", ".parrot/work")).absolute()
    which = hashlib.sha256(lake.storage.show("").encode()).hexdigest()[:8]
    return base / f"{run}-{which}"


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
    skipped = StageRecords(run.lake.storage, run.name, plan.stage).finished()
    skipped |= quarantine_of(run, plan.stage).held().keys()
    return [shard for shard in plan.shards if shard.index not in skipped]


def run_shard(
    run: Run,
    stage: Stage,
    shard: ShardPlan,
    engines: Engines | None,
    worker: str | None = None,
    times: LeaseTimes = DEFAULT_TIMES,
) -> Receipt:
    """Do one shard, or return the receipt of an attempt that did it.

    A failure is recorded in the lake with its traceback, then raised.

    Raises:
        ShardHeld: another worker is at it.
        LeaseLost: another took it over from us, and has not finished yet.
        ShardQuarantined: it has failed ``max_attempts`` times.
    """
    with in_context(run.name, stage.name, shard.index):
        return _run_shard(run, stage, shard, engines, worker, times)


def _run_shard(
    run: Run,
    stage: Stage,
    shard: ShardPlan,
    engines: Engines | None,
    worker: str | None,
    times: LeaseTimes,
) -> Receipt:
    state = StageRecords(run.lake.storage, run.name, stage.name)
    done = state.receipt(shard.index)
    if done is not None:
        return done
    attempts = Attempts(run, stage.name, shard.index)
    attempts.refuse()
    claims = state.claims(shard.index)
    taken = take(claims, uuid.uuid4().hex[:12], this_process(worker), times)
    try:
        if isinstance(taken, Receipt):
            done = taken
        else:
            with span(f"{stage.name} {shard.index}", {"parrot.attempt": taken.attempt}) as made:
                done = _attempt(run, stage, shard, taken, engines, claims)
                accounts = done.accounting
                logger.info(
                    "shard %d of %s: %d %ss in, %d out, %d rejected",
                    *(shard.index, stage.name, accounts.rows_in, accounts.unit),
                    *(accounts.rows_out, accounts.rows_rejected),
                )
                made.set_attribute("parrot.rows_in", accounts.rows_in)
                made.set_attribute("parrot.rows_out", accounts.rows_out)
                made.set_attribute("parrot.rows_rejected", accounts.rows_rejected)
    except LeaseLost:
        top = claims.top()
        if top is None or top.receipt is None:
            raise
        done = top.receipt  # the work of whoever took over stands
    state.file_receipt(done)
    return done


def _attempt(
    run: Run,
    stage: Stage,
    shard: ShardPlan,
    lease: Lease,
    engines: Engines | None,
    claims: Claims,
) -> Receipt:
    """Do one shard under a lease and commit it."""
    state = StageRecords(run.lake.storage, run.name, stage.name)
    attempts = Attempts(run, stage.name, shard.index)
    started = utc_now()
    try:
        attempts.record_lost(claims, lease)
        with LakeShardWork(run, stage, shard, state, lease, engines) as work:
            stage.process(work)
            receipt = work.receipt(started)
            receipt.accounting.close(f"{stage.name} shard {shard.index}")
        lease.commit(receipt)
        return receipt
    except ShardQuarantined:
        raise
    except Exception as error:
        lease.check()  # what a worker that was superseded ran into concerns nobody
        logger.warning("shard %d of %s: %s", shard.index, stage.name, error)
        attempts.record(lease, started, error)
        raise
    finally:
        lease.release()


class OpenStage:
    """One stage of one run, planned, with its engines up: what tasks and scripts drive."""

    def __init__(
        self,
        run: Run,
        stage: Stage,
        plan: StagePlan,
        engines: Engines | None,
        times: LeaseTimes = DEFAULT_TIMES,
    ) -> None:
        """See :func:`open_stage`."""
        self.run = run
        self.stage = stage
        self.plan = plan
        self._engines = engines
        self._times = times
        self._stopped: RunError | None = None

    def run_shard(self, shard: ShardPlan) -> Receipt:
        """Do one shard; after an error that concerns the whole run, no further one is begun."""
        if self._stopped is not None:
            raise self._stopped
        wait_while_paused(self.run)
        try:
            return run_shard(self.run, self.stage, shard, self._engines, times=self._times)
        except RunError as error:
            self._stopped = error
            raise

    def publish(self) -> Manifest:
        """Publish the version.

        Raises:
            RunError: the one that stopped the stage.
            PartiallyFailed: some shards failed; the others are kept.
        """
        if self._stopped is not None:
            raise self._stopped
        return publish_stage(self.run, self.stage, self.plan)


def wait_while_paused(run: Run, sleep: Callable[[float], None] = time.sleep) -> None:
    """Return when the run isn't paused (any more): no shard is begun before."""
    pauses = Pauses(run.lake.storage, run.name)
    while pauses.read() is not None:
        sleep(PAUSE_POLL_S)


@contextmanager
def open_stage(
    run: Run, stage: Stage, budget: Budget, times: LeaseTimes = DEFAULT_TIMES
) -> Iterator[OpenStage]:
    """Plan a stage and bring up the engines it needs, if a shard is left to do."""
    plan = plan_stage(run, stage)
    names = stage.engines(run)
    if names and unfinished(run, plan):
        with open_engines(run, names, budget, stage.name) as engines:
            yield OpenStage(run, stage, plan, engines, times)
    else:
        yield OpenStage(run, stage, plan, None, times)


def publish_stage(run: Run, stage: Stage, plan: StagePlan) -> Manifest:
    """Publish the version once every shard has a receipt.

    Raises:
        PartiallyFailed: some shards have none; the others are kept.
        NothingCameOut, TooManyRejects: see ``execution.rejects``.
        StorageError: a file that a receipt names is gone.
        VersionConflict: another writer published other content under this name.
    """
    if run.lake.published(stage.kind, stage.output, run.name):
        return run.lake.manifest(stage.kind, stage.output, run.name)
    state = StageRecords(run.lake.storage, run.name, stage.name)
    found = state.receipts([shard.index for shard in plan.shards])
    missing = [shard.index for shard in plan.shards if shard.index not in found]
    if missing:
        held = quarantine_of(run, stage.name).held()
        failures = {n: str(held[n]) if n in held else _last_error(state, n) for n in missing}
        raise PartiallyFailed(run.name, stage.name, failures, len(plan.shards), held.keys())
    manifest = _manifest(run, stage, plan, list(found.values()))
    refuse_nothing(run, manifest)
    _tidy(run, state, manifest)
    try:
        run.lake.publish(manifest)
    except VersionConflict:
        standing = run.lake.manifest(stage.kind, stage.output, run.name)
        if (standing.files, standing.reject_files) != (manifest.files, manifest.reject_files):
            raise
        return standing  # another worker of this run published the same shards first
    return manifest


def _tidy(run: Run, state: StageRecords, manifest: Manifest) -> None:
    """See that all files are there; remove what attempts left that didn't win.

    All shards are committed, so those attempts can't be any more. A reader that takes the whole
    folder, as DuckDB does, must not find their rows; and what is in a journal is in a shard, as
    what was in a checkpoint is in the model.
    """
    storage = run.lake.storage
    folder = version_folder(manifest.kind, manifest.name, manifest.version)
    there = set(storage.list(folder))
    named = {f"{folder}/{e.path}" for e in (*manifest.files, *manifest.reject_files)}
    if lost := sorted(named - there):
        raise StorageError(
            f"{storage.show(lost[0])}: written by a finished shard, but gone now; the version "
            "can't be published without it"
        )
    storage.delete([path for path in there - named if attempt_of(path.removeprefix(folder + "/"))])
    storage.delete(state.spent_files())


def is_published(run: Run, stage: Stage) -> bool:
    """Whether the stage's output is there to read, or nothing reads it: see ``lake.pins``."""
    if is_unneeded(stage.output, run.recipe.inputs):
        return True
    return run.lake.published(stage.kind, stage.output, run.version_of(stage.output))


def is_pinned(run: Run, stage: Stage) -> bool:
    """Whether the recipe takes the stage's output from another run."""
    return run.version_of(stage.output) != run.name


def budget_of(run: Run) -> Budget:
    """The run's budget; what was spent of it is reckoned when engines open (engines/sharing)."""
    return Budget(run.recipe.budget_usd)


def _last_error(state: StageRecords, shard: int) -> str:
    top = state.claims(shard).top()
    if top is not None and top.state == "held" and not top.over:
        return f"in work at {top.holder.worker}"
    failures = state.failures(shard)
    return str(failures[-1]["message"]) if failures else "not run"


def _manifest(run: Run, stage: Stage, plan: StagePlan, receipts: list[Receipt]) -> Manifest:
    accounting = Accounting(unit=stage.unit)
    for receipt in receipts:
        accounting = accounting.plus(receipt.accounting)
    schema = DATASETS.get(stage.output)
    metrics = receipts[0].metrics if len(receipts) == 1 else _merged_metrics(receipts)
    return Manifest(
        kind=stage.kind,
        name=stage.output,
        version=run.name,
        schema_version=schema.version if schema else None,
        commit_id=uuid.uuid4().hex,
        created_at=utc_now(),
        stage=stage.name,
        run=run.name,
        inputs=plan.inputs,
        recipe=run.recipe.model_dump(mode="json"),
        fingerprint=Fingerprint(recipe=run.recipe.fingerprint(), code=parrot_core.__version__),
        files=tuple(entry for receipt in receipts for entry in receipt.files),
        reject_files=tuple(entry for receipt in receipts for entry in receipt.reject_files),
        accounting=accounting,
        usage=add_usage([receipt.usage for receipt in receipts]),
        seconds=_seconds(plan.created_at, max(r.ended_at for r in receipts)) if receipts else 0.0,
        metrics=stage.summarise(run, receipts) or metrics,
        warnings=tuple(warning for receipt in receipts for warning in receipt.warnings),
    )


def _merged_metrics(receipts: Sequence[Receipt]) -> dict[str, Any]:
    """Sum the shards' figures; what isn't a number is kept by shard."""
    merged: dict[str, Any] = {}
    for name in dict.fromkeys(key for receipt in receipts for key in receipt.metrics):
        values = [receipt.metrics[name] for receipt in receipts if name in receipt.metrics]
        merged[name] = _sum(values)
    return merged


def _sum(values: list[Any]) -> Any:
    if all(isinstance(v, int | float) and not isinstance(v, bool) for v in values):
        return sum(values)
    if all(isinstance(v, dict) for v in values):
        keys = dict.fromkeys(key for value in values for key in value)
        return {key: _sum([value[key] for value in values if key in value]) for key in keys}
    return values


def _seconds(start: str, end: str) -> float:
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()


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
