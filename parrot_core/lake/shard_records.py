"""What the lake keeps of one shard of a stage: claims, progress, failed attempts, receipt."""

from collections.abc import Sequence
from functools import cached_property

from parrot_core.lake.attempts import AttemptFailure, ShardProgress
from parrot_core.lake.leases import Claims
from parrot_core.lake.manifest import Receipt
from parrot_core.lake.quarantine import Quarantine, QuarantineRecord
from parrot_core.lake.records import as_record, read_record
from parrot_core.lake.storage import Storage


class ShardRecords:
    """The records of one shard; whoever works on it opens them once and hands them down."""

    def __init__(self, storage: Storage, run: str, stage: str, index: int) -> None:
        self.storage = storage
        self._quarantine = Quarantine(storage, run, stage)
        self.index = index
        self.place = f"run '{run}', shard {index} of '{stage}'"
        self.folder = f"runs/{run}/{stage}/shards/{index:05d}"

    @property
    def journal_folder(self) -> str:
        return f"{self.folder}/journal"

    @property
    def checkpoint_folder(self) -> str:
        return f"{self.folder}/checkpoints"

    @cached_property
    def claims(self) -> Claims:
        """The leases on the shard, and the commit that ends them."""
        return Claims(self.storage, f"{self.folder}/claims", self.place)

    def receipt(self) -> Receipt | None:
        return read_record(self.storage, f"{self.folder}/receipt.json", Receipt)

    def file_receipt(self, receipt: Receipt) -> None:
        """Keep a committed receipt where one listing finds all of them; then the journal can go.

        The commit is the claim; this copy may be missing after a kill, and is written again.
        """
        self.storage.put_if_absent(f"{self.folder}/receipt.json", receipt.to_bytes())
        self.storage.delete(self.storage.list(self.journal_folder))

    def write_progress(self, progress: ShardProgress) -> None:
        self.storage.write_bytes(f"{self.folder}/progress.json", progress.to_bytes())

    def progress(self) -> ShardProgress | None:
        """How far the last attempt was when it last said so; None before the first."""
        return read_record(self.storage, f"{self.folder}/progress.json", ShardProgress)

    def record_failure(self, failure: AttemptFailure) -> None:
        """Keep the error of an attempt beside the earlier ones."""
        number = len(self._attempts()) + 1
        while True:
            path = f"{self.folder}/attempt-{number}.json"
            numbered = failure.model_copy(update={"attempt": number})
            if self.storage.put_if_absent(path, numbered.to_bytes()):
                return
            number += 1

    def failures(self) -> list[AttemptFailure]:
        """Errors of earlier attempts, oldest first."""
        read = self.storage.read_json
        return [as_record(AttemptFailure, read(path), path) for path in self._attempts()]

    def quarantine(self) -> QuarantineRecord | None:
        """Why runs leave the shard alone; None if they don't."""
        return self._quarantine.of(self.index)

    def judge(self, max_attempts: int, now: str) -> None:
        """Put the shard into quarantine if too many of its attempts have failed."""
        self._quarantine.judge(self.index, self.failures(), max_attempts, now)

    def _attempts(self) -> Sequence[str]:
        paths = self.storage.list(self.folder)
        found = [path for path in paths if path.startswith(f"{self.folder}/attempt-")]
        return sorted(found, key=lambda p: int(p.removesuffix(".json").rsplit("-", 1)[1]))
