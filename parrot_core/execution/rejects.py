"""How much of a stage may be rejected: never all of it, and no more than the recipe's share."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from parrot_core.engines.types import RunError
from parrot_core.errors import ParrotError, UserError
from parrot_core.lake.lake import version_folder
from parrot_core.lake.manifest import Accounting, FileEntry, Manifest
from parrot_core.lake.row_groups import table_in
from parrot_core.lake.run import Run
from parrot_core.lake.run_records import StageRecords
from parrot_core.recipe import Recipe
from parrot_core.stages.base import Stage
from parrot_core.stages.registry import STAGES
from parrot_core.text.sanitise import one_line
from parrot_core.text.wording import plural

JUDGED_AFTER = 100
"""Units after which a share says something; smaller stages are judged by all they have."""
SHOWN = 3
"""Reasons that are named, the commonest first."""


class NothingCameOut(ParrotError):
    """A stage took rows in, rejected them all, and the recipe doesn't allow that."""


class TooManyRejects(RunError):
    """A stage rejects a larger share than the recipe allows."""


def check_stage_names(recipe: Recipe) -> None:
    """Raise UserError if a setting names a stage that doesn't exist."""
    stages = [stage.name for stage in STAGES]
    settings: dict[str, Iterable[str]] = {
        "allow_empty": recipe.allow_empty,
        "max_reject_share": recipe.max_reject_share,
        "workers": recipe.workers if isinstance(recipe.workers, dict) else (),
        "cluster.resources": recipe.cluster.resources if recipe.cluster else (),
    }
    for setting, names in settings.items():
        for name in names:
            if name not in stages:
                raise UserError(f"{setting}: no stage '{name}'; there are: {', '.join(stages)}")


def refuse_nothing(run: Run, manifest: Manifest) -> None:
    """Raise what keeps a version from being published: it is empty, or lost too much.

    Raises:
        NothingCameOut: no row of many came out, and ``allow_empty`` doesn't name the stage.
        TooManyRejects: more than ``max_reject_share`` was rejected.
    """
    accounts, stage = manifest.accounting, manifest.stage
    if manifest.kind != "dataset" or not accounts.rows_in:
        return
    if not accounts.rows_out and stage not in run.recipe.allow_empty:
        raise NothingCameOut(
            f"run '{run.name}': '{stage}' ends with nothing: 0 of "
            f"{plural(accounts.rows_in, accounts.unit)} came out; {_reasons(accounts.rejected)}"
            f"{_example(run, manifest)}. Nothing is published; --set 'allow_empty=[{stage}]' "
            "publishes it all the same"
        )
    share = run.recipe.max_reject_share.get(stage)
    if share is not None and accounts.rows_rejected > share * accounts.rows_in:
        raise _too_many(run, stage, accounts, share)


class RejectWatch:
    """Watches the rejects of a stage while one of its shards is in work."""

    def __init__(self, run: Run, stage: Stage) -> None:
        """Read what finished shards rejected, if the recipe limits this stage at all."""
        self._run = run
        self._stage = stage
        self._share = run.recipe.max_reject_share.get(stage.name)
        self._before = Accounting(unit=stage.unit)
        self._planned = 0
        if self._share is None:
            return
        records = StageRecords(run.lake.storage, run.name, stage.name)
        plan = records.plan()
        shards = plan.shards if plan is not None else ()
        self._planned = sum(shard.rows for shard in shards)
        for receipt in records.receipts([shard.index for shard in shards]).values():
            self._before = self._before.plus(receipt.accounting)

    def check(self, rows_in: int, rows_out: int, rejected: Mapping[str, int]) -> None:
        """Raise TooManyRejects once the share is passed, by what this shard has done so far.

        Early on a share says little: it is taken of at least ``JUDGED_AFTER`` units, or of all
        that the stage is known to have.
        """
        if self._share is None:
            return
        unit = self._stage.unit
        here = Accounting(unit=unit, rows_out=rows_out, rejected=dict(rejected))
        total = self._before.plus(here)
        seen = total.rows_out + total.rows_rejected
        known = max(self._planned, self._before.rows_in + rows_in)
        if total.rows_rejected > self._share * max(seen, min(known, JUDGED_AFTER)):
            so_far = total.model_copy(update={"rows_in": seen})
            raise _too_many(self._run, self._stage.name, so_far, self._share)


def _too_many(run: Run, stage: str, accounts: Accounting, share: float) -> TooManyRejects:
    return TooManyRejects(
        f"run '{run.name}': '{stage}' rejects {accounts.rows_rejected:,} of "
        f"{plural(accounts.rows_in, accounts.unit)}, more than max_reject_share.{stage} = "
        f"{share:g}; {_reasons(accounts.rejected)}. Everything done is kept; --set "
        f"max_reject_share.{stage}=1 goes on"
    )


def _reasons(rejected: Mapping[str, int]) -> str:
    return ", ".join(
        f"{number:,} {reason}" for reason, number in Counter(rejected).most_common(SHOWN)
    )


def _example(run: Run, manifest: Manifest) -> str:
    """What one of the commonest rejects says in detail."""
    reason = Counter(manifest.accounting.rejected).most_common(1)[0][0]
    detail = _detail(run, manifest, manifest.reject_files, reason)
    return f" ({one_line(detail, 300)})" if detail else ""


def _detail(run: Run, manifest: Manifest, files: Sequence[FileEntry], reason: str) -> str:
    folder = version_folder(manifest.kind, manifest.name, manifest.version)
    for entry in files:
        data = run.lake.storage.read_bytes(f"{folder}/{entry.path}")
        for row in table_in(data, ["reason", "detail"]).to_pylist():
            if row["reason"] == reason and row["detail"]:
                return str(row["detail"])
    return ""
