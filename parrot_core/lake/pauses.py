"""A run's pause: one small record that its workers honour before a shard and before a request."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict

from parrot_core.errors import RunPaused
from parrot_core.lake.storage import Storage, to_json


class PauseRecord(BaseModel):
    """Who paused a run, when, and why."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    by: str
    since: str  # ISO 8601, UTC
    reason: str = ""

    def __str__(self) -> str:
        why = f": {self.reason}" if self.reason else ""
        return f"paused by {self.by} since {self.since[:19].replace('T', ' ')} UTC{why}"


class Pauses:
    """The pause of one run: there while its record is."""

    def __init__(self, storage: Storage, run: str) -> None:
        """Nothing is read or written yet."""
        self._storage = storage
        self._run = run
        self._path = pause_file(run)

    def read(self) -> PauseRecord | None:
        """The pause, or None while the run may work."""
        try:
            return PauseRecord.model_validate(self._storage.read_json(self._path))
        except FileNotFoundError:
            return None

    def pause(self, by: str, now: datetime, reason: str = "") -> PauseRecord:
        """Pause the run; a pause that stands already is kept and returned."""
        since = now.isoformat(timespec="milliseconds")
        wanted = PauseRecord(by=by, since=since, reason=reason)
        self._storage.put_if_absent(self._path, to_json(wanted.model_dump()))
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


def pause_file(run: str) -> str:
    return f"runs/{run}/pause.json"
