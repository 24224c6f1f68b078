"""The record that a run was asked to stop, so that it is not taken for a lost run."""

from datetime import UTC, datetime

from parrot_core.lake.storage import Storage


class Stops:
    """The last stop of a run, until it goes on."""

    def __init__(self, storage: Storage, run: str) -> None:
        self._storage = storage
        self.path = f"runs/{run}/stopped.json"

    def record(self, reason: str) -> None:
        """Keep that the run was stopped, and by what."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        self._storage.write_json(self.path, {"reason": reason, "at": now})

    def clear(self) -> None:
        self._storage.delete([self.path])

    def read(self) -> tuple[str, datetime] | None:
        """Why and when the run was stopped; None if it goes on, or was never stopped."""
        try:
            data = self._storage.read_json(self.path)
        except FileNotFoundError:
            return None
        return str(data["reason"]), datetime.fromisoformat(str(data["at"]))
