"""Where a run keeps its state in the lake: recipe, plans, progress, attempts, receipts.

Everything here is JSON under ``runs/<run>/``, so that the command line, the dashboard and a
worker on another machine see the same state without asking each other or Prefect.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from parrot_core.lake.leases import Claims
from parrot_core.lake.manifest import Receipt
from parrot_core.lake.storage import Storage, to_json

SPENT = ("journal", "checkpoints")
"""Folders of a shard that nobody needs once it is committed."""


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
    """Path of a run's HTML report."""
    return f"runs/{run}/report.html"


class StageRecords:
    """The state of one stage of one run."""

    def __init__(self, storage: Storage, run: str, stage: str) -> None:
        """Nothing is read or written yet."""
        self._storage = storage
        self.folder = f"runs/{run}/{stage}"

    def read_plan(self) -> dict[str, Any] | None:
        """The plan, if the stage has one."""
        try:
            return self._storage.read_json(f"{self.folder}/plan.json")
        except FileNotFoundError:
            return None

    def put_plan(self, plan: dict[str, Any]) -> None:
        """Keep a plan unless there is one: the first planner decides."""
        self._storage.put_if_absent(f"{self.folder}/plan.json", to_json(plan))

    def shard_folder(self, shard: int) -> str:
        """Folder of one shard's state."""
        return f"{self.folder}/shards/{shard:05d}"

    def journal_folder(self, shard: int) -> str:
        """Folder of one shard's journal of completions."""
        return f"{self.shard_folder(shard)}/journal"

    def checkpoint_folder(self, shard: int) -> str:
        """Folder of the checkpoints of a shard that trains."""
        return f"{self.shard_folder(shard)}/checkpoints"

    def receipt(self, shard: int) -> Receipt | None:
        """The shard's receipt, if an attempt was committed."""
        try:
            data = self._storage.read_json(f"{self.shard_folder(shard)}/receipt.json")
        except FileNotFoundError:
            return None
        return Receipt.model_validate(data)

    def receipts(self, shards: Sequence[int]) -> dict[int, Receipt]:
        """The receipts of those of the shards that have one."""
        paths = [f"{self.shard_folder(shard)}/receipt.json" for shard in shards]
        found = zip(shards, self._storage.read_jsons(paths), strict=True)
        return {shard: Receipt.model_validate(data) for shard, data in found if data is not None}

    def claims(self, shard: int) -> Claims:
        """The leases on one shard, and the commit that ends them."""
        run, stage = self.folder.split("/")[1:]
        place = f"run '{run}', shard {shard} of '{stage}'"
        return Claims(self._storage, f"{self.shard_folder(shard)}/claims", place)

    def file_receipt(self, receipt: Receipt) -> None:
        """Keep a committed receipt where one listing finds all of them; then the journal can go.

        The commit is the claim; this copy may be missing after a kill, and is written again.
        """
        path = f"{self.shard_folder(receipt.shard)}/receipt.json"
        self._storage.put_if_absent(path, to_json(receipt.model_dump(mode="json")))
        self._storage.delete(self._storage.list(self.journal_folder(receipt.shard)))

    def spent_files(self) -> Sequence[str]:
        """Files of all shards' journals and checkpoints, from one listing."""
        found = self._storage.list(f"{self.folder}/shards")
        return [path for path in found if path.split("/")[5] in SPENT]

    def finished(self) -> set[int]:
        """Shards that have a receipt, from one listing."""
        prefix = f"{self.folder}/shards"
        return {
            int(path.split("/")[-2])
            for path in self._storage.list(prefix)
            if path.endswith("/receipt.json")
        }

    def write_progress(self, shard: int, progress: dict[str, Any]) -> None:
        """Say how far a shard is."""
        self._storage.write_json(f"{self.shard_folder(shard)}/progress.json", progress)

    def progress(self, shard: int) -> dict[str, Any]:
        """How far the shard's last attempt was when it last said so; empty before the first."""
        try:
            return self._storage.read_json(f"{self.shard_folder(shard)}/progress.json")
        except FileNotFoundError:
            return {}

    def record_failure(self, shard: int, failure: dict[str, Any]) -> None:
        """Keep the error of an attempt beside the earlier ones."""
        taken = self._attempts(shard)
        number = len(taken) + 1
        while True:
            record = {"attempt": number, **failure}
            path = f"{self.shard_folder(shard)}/attempt-{number}.json"
            if self._storage.put_if_absent(path, to_json(record)):
                return
            number += 1

    def failures(self, shard: int) -> list[dict[str, Any]]:
        """Errors of earlier attempts, oldest first."""
        return [self._storage.read_json(path) for path in self._attempts(shard)]

    def _attempts(self, shard: int) -> Sequence[str]:
        folder = self.shard_folder(shard)
        paths = [p for p in self._storage.list(folder) if p.startswith(f"{folder}/attempt-")]
        return sorted(paths, key=lambda p: int(p.removesuffix(".json").rsplit("-", 1)[1]))
