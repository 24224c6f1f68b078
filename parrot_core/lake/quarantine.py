"""Shards that failed so often that runs leave them alone until a person says otherwise."""

from collections.abc import Sequence
from typing import Literal

from parrot_core.lake.attempts import AttemptFailure
from parrot_core.lake.records import Record, as_record, read_record
from parrot_core.lake.storage import Storage

FILE = "quarantine.json"


class QuarantineRecord(Record):
    """Why a shard is left alone, or that it was pardoned; beside its attempts in the lake."""

    state: Literal["quarantined", "pardoned"]
    attempts: int  # failures that count, over the shard's whole life
    max_attempts: int  # of the recipe that was in force
    since: str  # ISO 8601, UTC
    error_type: str  # of the last failure
    error: str

    def __str__(self) -> str:
        return f"in quarantine after {self.attempts} failed attempts, the last one: {self.error}"


class Quarantine:
    """The quarantine of one stage of one run: one small record a shard, in its folder."""

    def __init__(self, storage: Storage, run: str, stage: str) -> None:
        self._storage = storage
        self._folder = f"runs/{run}/{stage}/shards"

    def held(self, files: Sequence[str] | None = None) -> dict[int, QuarantineRecord]:
        """All shards in quarantine, from one listing: ``files``, or one of its own."""
        listed = self._storage.list(self._folder) if files is None else files
        paths = [path for path in listed if path.endswith(f"/{FILE}")]
        found = zip(paths, self._storage.read_jsons(paths), strict=True)
        records = {
            int(path.split("/")[-2]): as_record(QuarantineRecord, data, path)
            for path, data in found
            if data is not None
        }
        return {index: each for index, each in records.items() if each.state == "quarantined"}

    def of(self, shard: int) -> QuarantineRecord | None:
        record = self._read(shard)
        return record if record is not None and record.state == "quarantined" else None

    def judge(
        self, shard: int, failures: Sequence[AttemptFailure], max_attempts: int, now: str
    ) -> QuarantineRecord | None:
        """Put a shard into quarantine if it has failed too often since it was last pardoned.

        Args:
            failures: records of its failed attempts, oldest first; one with ``counts`` false,
                such as a reached budget, is not the shard's fault.
            now: the time, ISO 8601 in UTC.
        """
        counting = [failure for failure in failures if failure.counts]
        before = self._read(shard)
        forgiven = before.attempts if before is not None and before.state == "pardoned" else 0
        if len(counting) - forgiven < max_attempts:
            return None
        record = QuarantineRecord(
            state="quarantined",
            attempts=len(counting),
            max_attempts=max_attempts,
            since=now,
            error_type=counting[-1].error_type,
            error=counting[-1].message,
        )
        self._write(shard, record)
        return record

    def pardon(self, shard: int) -> None:
        """Let runs try a shard again, as often as a new one; no error if it isn't held."""
        record = self.of(shard)
        if record is not None:
            self._write(shard, record.model_copy(update={"state": "pardoned"}))

    def _read(self, shard: int) -> QuarantineRecord | None:
        return read_record(self._storage, self._path(shard), QuarantineRecord)

    def _write(self, shard: int, record: QuarantineRecord) -> None:
        self._storage.write_bytes(self._path(shard), record.to_bytes())

    def _path(self, shard: int) -> str:
        return f"{self._folder}/{shard:05d}/{FILE}"
