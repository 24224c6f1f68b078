"""Who works on a run now: one small record a worker, rewritten as long as it lives.

A worker is alive while its record changes before the observer's eyes; no clocks are compared. A
process of this machine that has ended is known to be dead at once.
"""

import time
import uuid
from collections.abc import Callable, Mapping, Sequence

from pydantic import Field

from parrot_core.lake.holder import Holder, this_process
from parrot_core.lake.records import Record, read_record
from parrot_core.lake.run_records import utc_now
from parrot_core.lake.storage import Storage

DEAD_AFTER_S = 20.0
"""A record that hasn't changed for so long belongs to nobody."""


class LimitClaim(Record):
    """What one worker may use of one engine's limits until its next record; null is unlimited."""

    concurrency: int = 0
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None


class WorkerRecord(Record):
    """One worker, as the others see it."""

    id: str
    holder: Holder
    stage: str = ""
    beat: int = 0
    updated_at: str = ""  # for people; nobody decides on it
    claims: Mapping[str, LimitClaim] = Field(default_factory=dict)  # by model at a provider
    claim_usd: float = 0.0  # most that it may be charged for beyond what the lake shows
    paused: Mapping[str, str] = Field(default_factory=dict)  # engine: why it stands still
    waiting: Sequence[str] = ()  # models that its requests wait for


class Workers:
    """This worker among those of one run. Used from one thread."""

    def __init__(
        self, storage: Storage, run: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._storage = storage
        self._folder = f"runs/{run}/workers"
        self._clock = clock
        self._seen: dict[str, tuple[int, float]] = {}  # beat, and when it was first seen
        self.me = WorkerRecord(id=uuid.uuid4().hex[:12], holder=this_process())

    def say(self, record: WorkerRecord) -> None:
        update = {"beat": self.me.beat + 1, "updated_at": utc_now()}
        self.me = record.model_copy(update=update)
        self._storage.write_bytes(f"{self._folder}/{self.me.id}.json", self.me.to_bytes())

    def others(self) -> list[WorkerRecord]:
        """Records of the other workers that live; the dead ones' are removed."""
        mine = f"{self._folder}/{self.me.id}.json"
        paths = [path for path in self._storage.list(self._folder) if path != mine]
        if not paths:
            self._seen.clear()
            return []
        read = self._storage.each(lambda p: read_record(self._storage, p, WorkerRecord), paths)
        found = [record for record in read if record is not None]
        alive = [record for record in found if self._lives(record)]
        gone = {record.id for record in found} - {record.id for record in alive}
        self._storage.delete([f"{self._folder}/{each}.json" for each in gone])
        self._seen = {each.id: self._seen[each.id] for each in alive}
        return alive

    def leave(self) -> None:
        """Take this worker's record away: what it claimed is free."""
        self._storage.delete([f"{self._folder}/{self.me.id}.json"])

    def _lives(self, record: WorkerRecord) -> bool:
        now = self._clock()
        beat, since = self._seen.get(record.id, (-1, now))
        if beat != record.beat:
            since = now
        self._seen[record.id] = (record.beat, since)
        return not record.holder.is_gone() and now - since < DEAD_AFTER_S
