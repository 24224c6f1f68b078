"""Where a run keeps its state in the lake: recipe, plans, progress, attempts, receipts.

Everything here is JSON under ``runs/<run>/``, so that the command line, the dashboard and a
worker on another machine see the same state without asking each other or Prefect.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from parrot_core.lake.attempts import AttemptFailure
from parrot_core.lake.manifest import Receipt
from parrot_core.lake.quarantine import Quarantine
from parrot_core.lake.records import Record, as_record, read_record
from parrot_core.lake.shard_records import ShardRecords
from parrot_core.lake.stage_plan import StagePlan
from parrot_core.lake.storage import Storage

SPENT = ("journal", "checkpoints")
"""Folders of a shard that nobody needs once it is committed."""


class RunRecord(Record):
    """What a run was begun with: ``run.json``, written once."""

    name: str
    id: str  # no two writers write the same, so that only one has begun it
    recipe: dict[str, Any]
    fingerprint: str
    created_at: str  # ISO 8601, UTC
    code_version: str
    stages: tuple[str, ...] | None = None  # all that it was begun to make; None: everything


def utc_now() -> str:
    """The time as ISO 8601 in UTC, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def run_file(run: str) -> str:
    """Path of a run's own record: its recipe and fingerprint."""
    return f"runs/{run}/run.json"


def newest_runs(storage: Storage) -> list[str]:
    """Names of all runs of a lake, the one begun last first."""
    names = storage.folders("runs")
    records = zip(names, storage.read_jsons([run_file(name) for name in names]), strict=True)
    begun = [(str(data["created_at"]), name) for name, data in records if data is not None]
    return [name for _, name in sorted(begun, reverse=True)]


def report_file(run: str) -> str:
    return f"runs/{run}/report.html"


class StageRecords:
    """The state of one stage of one run."""

    def __init__(self, storage: Storage, run: str, stage: str) -> None:
        self._storage = storage
        self._run, self._stage = run, stage
        self.quarantine = Quarantine(storage, run, stage)
        self.folder = f"runs/{run}/{stage}"

    def plan(self) -> StagePlan | None:
        return read_record(self._storage, f"{self.folder}/plan.json", StagePlan)

    def put_plan(self, plan: StagePlan) -> StagePlan:
        """Keep a plan unless there is one; the one that stands: the first planner decides."""
        put = self._storage.put_if_absent(f"{self.folder}/plan.json", plan.to_bytes())
        return plan if put else self.plan() or plan

    def shard(self, index: int) -> ShardRecords:
        return ShardRecords(self._storage, self._run, self._stage, index)

    def receipts(self, shards: Sequence[int]) -> dict[int, Receipt]:
        paths = [f"{self.shard(shard).folder}/receipt.json" for shard in shards]
        found = zip(shards, self._storage.read_jsons(paths), strict=True)
        return {
            shard: as_record(Receipt, data, self.shard(shard).folder)
            for shard, data in found
            if data is not None
        }

    def shard_files(self) -> Sequence[str]:
        return self._storage.list(f"{self.folder}/shards")

    def spent_files(self) -> Sequence[str]:
        """Files of all shards' journals and checkpoints."""
        return [path for path in self.shard_files() if path.split("/")[5] in SPENT]

    def finished(self) -> set[int]:
        """Shards that have a receipt, from one listing."""
        found = self.shard_files()
        return {int(path.split("/")[-2]) for path in found if path.endswith("/receipt.json")}

    def record_failure(self, failure: AttemptFailure) -> None:
        """Keep what ended the stage, where no shard's record can tell of it."""
        self._storage.write_bytes(f"{self.folder}/failure.json", failure.to_bytes())

    def clear_failure(self) -> None:
        """The stage is begun anew: what ended it before is history."""
        self._storage.delete([f"{self.folder}/failure.json"])
