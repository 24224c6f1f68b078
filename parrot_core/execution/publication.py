"""Publish a stage whose shards are all done: the manifest, and nothing it does not name."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from parrot_core.errors import PartiallyFailed, StorageError, VersionConflict
from parrot_core.execution.rejects import refuse_nothing
from parrot_core.lake.journal import checks_folder, read_entries, usage_of
from parrot_core.lake.lake import version_folder
from parrot_core.lake.manifest import Accounting, Fingerprint, Manifest, Receipt, Usage, add_usage
from parrot_core.lake.run import Run
from parrot_core.lake.run_records import StageRecords, utc_now
from parrot_core.lake.shard_writer import attempt_of
from parrot_core.lake.stage_plan import StagePlan
from parrot_core.schemas import DATASETS
from parrot_core.stages.base import Stage
from parrot_core.version import __version__


def publish_stage(
    run: Run, stage: Stage, plan: StagePlan, errors: Mapping[int, str] | None = None
) -> Manifest:
    """Publish the version once every shard has a receipt.

    ``errors`` are what ended shards here: of a full disk the lake holds no record.

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
        held = state.quarantine.held()
        failures = {
            n: str(held[n]) if n in held else _last_error(state, n, errors or {}) for n in missing
        }
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


def _last_error(state: StageRecords, shard: int, errors: Mapping[int, str]) -> str:
    records = state.shard(shard)
    top = records.claims.top()
    if top is not None and top.state == "held" and not top.over:
        return f"in work at {top.holder.worker}"
    failures = records.failures()
    return failures[-1].message if failures else errors.get(shard, "not run")


def _manifest(run: Run, stage: Stage, plan: StagePlan, receipts: list[Receipt]) -> Manifest:
    accounting = Accounting(unit=stage.unit)
    for receipt in receipts:
        accounting = accounting.plus(receipt.accounting)
    schema = DATASETS.get(stage.output)
    metrics = receipts[0].metrics if len(receipts) == 1 else _merged_metrics(receipts)
    warnings = [*stage.warnings(run, receipts)]
    warnings += [warning for receipt in receipts for warning in receipt.warnings]
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
        fingerprint=Fingerprint(recipe=run.recipe.fingerprint(), code=__version__),
        files=tuple(entry for receipt in receipts for entry in receipt.files),
        reject_files=tuple(entry for receipt in receipts for entry in receipt.reject_files),
        accounting=accounting,
        usage=add_usage([*(receipt.usage for receipt in receipts), _checks_usage(run, stage)]),
        seconds=_seconds(plan.created_at, max(r.ended_at for r in receipts)) if receipts else 0.0,
        metrics=stage.metrics.model_validate(stage.summarise(run, receipts) or metrics).to_json(),
        warnings=tuple(dict.fromkeys(warnings)),
    )


def _checks_usage(run: Run, stage: Stage) -> Usage:
    """What was asked before the first shard, beside what the rows took."""
    asked = read_entries(run.lake.storage, checks_folder(run.name, stage.name))
    return {f"{engine} (check)": used for engine, used in usage_of(asked).items()}


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
    """Never negative: the two may come from clocks of two machines, or of one that was set."""
    passed = datetime.fromisoformat(end) - datetime.fromisoformat(start)
    return max(0.0, passed.total_seconds())
