"""Who is at a stage, and whether they still are, for an observer on any machine."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from parrot_core.errors import DamagedRecord
from parrot_core.lake.presence import PresenceRecord, presence_folder
from parrot_core.lake.records import as_record
from parrot_core.lake.storage import Storage
from parrot_core.monitor.shard_records import STALLED_AFTER_S
from parrot_core.monitor.shard_state import StageWorker


class WorkersSeen:
    """Reads presence again and again; a record that changed before our eyes needs no clock."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._seen: dict[str, tuple[str, datetime, bool]] = {}  # written, seen first, changed

    def at(
        self, run: str, stage: str, files: Collection[str], now: datetime
    ) -> tuple[StageWorker, ...]:
        """The workers at a stage, given the files below its folder."""
        folder = presence_folder(run, stage)
        paths: Sequence[str] = sorted(path for path in files if path.startswith(folder))
        if not paths:
            return ()
        read = zip(paths, self._storage.read_jsons(paths), strict=True)
        return tuple(self._worker(path, data, now) for path, data in read if data is not None)

    def _worker(self, path: str, data: dict[str, Any], now: datetime) -> StageWorker:
        try:
            record = as_record(PresenceRecord, data, path)
        except DamagedRecord:
            return StageWorker("unknown", "", alive=False)
        written = datetime.fromisoformat(record.updated_at)
        before = self._seen.get(path)
        if before is None or before[0] != record.updated_at:
            before = (record.updated_at, now, before is not None)
            self._seen[path] = before
        watched_s = (now - before[1]).total_seconds()
        by_clock_s = (now - written).total_seconds()
        silent_s = watched_s if before[2] else max(watched_s, by_clock_s)
        alive = silent_s <= STALLED_AFTER_S and not record.holder.is_gone()
        return StageWorker(record.holder.worker, record.doing, alive, written)
