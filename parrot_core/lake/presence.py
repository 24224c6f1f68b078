"""Which workers are at a stage: each keeps rewriting a small record while it is there.

A shard's progress says how far the work is. This record says that somebody is there at all, also
while a model loads for minutes and no shard has begun; a worker that was killed stops renewing it.
"""

import logging
import uuid
from datetime import datetime

from parrot_core.errors import StorageError
from parrot_core.lake.holder import Holder, this_process
from parrot_core.lake.records import Record
from parrot_core.lake.run_records import utc_now
from parrot_core.lake.storage import Storage
from parrot_core.telemetry.repeated_call import RepeatedCall

BEAT_S = 5.0
FORGOTTEN_S = 600.0
"""A record that is older than that is removed by the next worker that comes."""

WORKING = "working"

logger = logging.getLogger(__name__)


class PresenceRecord(Record):
    """One worker at one stage."""

    holder: Holder
    doing: str  # for people, such as "starting engines"; WORKING once shards can begin
    updated_at: str


class Presence:
    """This worker's record at one stage of one run; a context manager. It never fails the work."""

    def __init__(self, storage: Storage, run: str, stage: str, beat_s: float = BEAT_S) -> None:
        """Write nothing before the context is entered."""
        self._storage = storage
        self._folder = presence_folder(run, stage)
        self._path = f"{self._folder}{uuid.uuid4().hex[:12]}.json"
        self._holder = this_process()
        self._doing = "planning"
        self._beats = RepeatedCall("parrot-presence", self._write, beat_s)

    def __enter__(self) -> "Presence":
        self._tidy()
        self._write()
        self._beats.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._beats.stop()
        try:
            self._storage.delete([self._path])
        except (OSError, StorageError) as problem:
            logger.warning("this worker's presence could not be removed: %s", problem)

    def does(self, what: str) -> None:
        """Say what this worker does from now on."""
        self._doing = what
        self._write()

    def _write(self) -> None:
        record = PresenceRecord(holder=self._holder, doing=self._doing, updated_at=utc_now())
        try:
            self._storage.write_bytes(self._path, record.to_bytes())
        except (OSError, StorageError) as error:
            logger.warning("this worker's presence could not be written: %s", error)

    def _tidy(self) -> None:
        """Remove what killed workers left."""
        try:
            paths = list(self._storage.list(self._folder))
            found = zip(paths, self._storage.read_jsons(paths), strict=True)
            now = datetime.fromisoformat(utc_now())
            gone = []
            for path, data in found:
                record = PresenceRecord.model_validate(data) if data is not None else None
                if record is not None:
                    age = now - datetime.fromisoformat(record.updated_at)
                    if record.holder.is_gone() or age.total_seconds() > FORGOTTEN_S:
                        gone.append(path)
            self._storage.delete(gone)
        except (OSError, ValueError, StorageError) as error:
            logger.warning("presence of earlier workers could not be tidied: %s", error)


def presence_folder(run: str, stage: str) -> str:
    """Folder of a stage's records, with a slash at its end."""
    return f"runs/{run}/{stage}/workers/"
