"""Begin, resume and open runs; what of a run is published already."""

import hashlib
import os
import re
import uuid
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from parrot_core.engines.limits.budget import Budget
from parrot_core.errors import MissingRun, RecipeChanged, UserError
from parrot_core.execution.rejects import check_stage_names
from parrot_core.lake.lake import Lake
from parrot_core.lake.recipe_in_force import RecipeInForce
from parrot_core.lake.records import read_record
from parrot_core.lake.requested_stages import RequestedStages
from parrot_core.lake.run import Run
from parrot_core.lake.run_records import RunRecord, StageRecords, run_file, utc_now
from parrot_core.recipe import SLUG, Recipe, differences, parse_recipe
from parrot_core.stages.base import Stage
from parrot_core.version import __version__


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
    record = RunRecord(
        name=run_name,
        id=uuid.uuid4().hex,
        recipe=recipe.model_dump(mode="json"),
        fingerprint=recipe.fingerprint(),
        created_at=utc_now(),
        code_version=__version__,
        stages=None if stages is None else tuple(stages),
    )
    asked = RequestedStages(lake.storage, run_name)
    if lake.storage.put_if_absent(run_file(run_name), record.to_bytes()):
        if alone is not None:
            asked.put((alone,))
    else:
        record = _record_of(lake, run_name)
        before = parse_recipe(record.recipe)
        if before.fingerprint() != recipe.fingerprint():
            changed = list(differences(before.canonical(), recipe.canonical()))
            raise RecipeChanged(run_name, changed)
        in_force = RecipeInForce(lake.storage, run_name)
        in_force.note(recipe.model_dump(mode="json"), record.recipe)
        if alone is not None:
            asked.extend(alone)
    return Run(run_name, recipe, lake, work_folder(lake, run_name), record.stages)


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
    """A run that was begun before, with the recipe in force: later overrides hold.

    Raises:
        MissingRun: no run of this name is in the lake.
    """
    record = _record_of(lake, checked_name(name))
    recipe = parse_recipe(RecipeInForce(lake.storage, name).read() or record.recipe)
    return Run(name, recipe, lake, work_folder(lake, name), record.stages)


def _record_of(lake: Lake, name: str) -> RunRecord:
    record = read_record(lake.storage, run_file(name), RunRecord)
    if record is None:
        raise MissingRun(name, sorted(lake.storage.folders("runs")))
    return record


def work_folder(lake: Lake, run: str) -> Path:
    """Local scratch of a run, below ``$PARROT_WORK`` or ``.parrot/work`` here.

    Runs of one name in two lakes must not meet: one would resume the other's training.
    """
    base = Path(os.environ.get("PARROT_WORK", ".parrot/work")).absolute()
    which = hashlib.sha256(lake.storage.show("").encode()).hexdigest()[:8]
    return base / f"{run}-{which}"


def is_published(run: Run, stage: Stage) -> bool:
    """Whether the stage's output is there to read, or nothing reads it any more."""
    if stage.only_for in run.recipe.inputs:
        return True
    return run.lake.published(stage.kind, stage.output, stage.version(run))


def is_pinned(run: Run, stage: Stage) -> bool:
    """Whether the recipe takes the stage's output from another run."""
    return stage.spec.pinned(run.recipe.inputs) is not None


def budget_of(run: Run) -> Budget:
    """The run's budget; what was spent of it is reckoned when engines open (engines/sharing)."""
    return Budget(run.recipe.budget_usd)


def release_quarantine(
    run: Run, stages: Iterable[Stage], only: Collection[int] = ()
) -> dict[str, list[int]]:
    """Let a run try its shards in quarantine again; returns their numbers by stage.

    With ``only``, just shards of these numbers.
    """
    released = {}
    for stage in stages:
        quarantine = StageRecords(run.lake.storage, run.name, stage.name).quarantine
        held = sorted(shard for shard in quarantine.held() if not only or shard in only)
        for shard in held:
            quarantine.pardon(shard)
        if held:
            released[stage.name] = held
    return released
