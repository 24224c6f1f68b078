"""A run's pause: one small record that its workers honour before a shard and before a request."""

from datetime import datetime

from parrot_core.errors import RunPaused
from parrot_core.lake.records import Record, read_record
from parrot_core.lake.storage import Storage


class PauseRecord(Record):
    """Who paused a run, when, and why."""

    by: str
    since: str  # ISO 8601, UTC
    reason: str = ""

    def __str__(self) -> str:
        why = f": {self.reason}" if self.reason else ""
        return f"paused by {self.by} since {self.since[:19].replace('T', ' ')} UTC{why}"


class Pauses:
    """The pause of one run: there while its record is."""

    def __init__(self, storage: Storage, run: str) -> None:
        self._storage = storage
        self._run = run
        self._path = f"runs/{run}/pause.json"

    def read(self) -> PauseRecord | None:
        """The pause, or None while the run may work."""
        return read_record(self._storage, self._path, PauseRecord)

    def pause(self, by: str, now: datetime, reason: str = "") -> PauseRecord:
        """Pause the run; a pause that stands already is kept and returned."""
        since = now.isoformat(timespec="milliseconds")
        wanted = PauseRecord(by=by, since=since, reason=reason)
        self._storage.put_if_absent(self._path, wanted.to_bytes())
        return self.read() or wanted

    def resume(self) -> bool:
        """Let the run go on; whether it was paused."""
        was = self.read() is not None
        self._storage.delete([self._path])
        return was

    def refuse(self) -> None:
        """Raise RunPaused if the run is paused: nothing must be begun then."""
        if (record := self.read()) is not None:
            raise RunPaused(self._run, str(record))
