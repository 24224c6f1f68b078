"""Which stages were last asked for of a run, where these aren't all: one small record."""

from collections.abc import Sequence

from parrot_core.lake.storage import Storage


class RequestedStages:
    """The stages that whoever ran a run last wanted; without a record, all it was begun for.

    It decides nothing of what is made. It tells a run that ended where it was meant to
    (``--until``) from one whose process is gone.
    """

    def __init__(self, storage: Storage, run: str) -> None:
        self._storage = storage
        self._path = f"runs/{run}/asked.json"

    def read(self) -> tuple[str, ...] | None:
        """Names of the stages; None for all."""
        try:
            return tuple(map(str, self._storage.read_json(self._path)["stages"]))
        except FileNotFoundError:
            return None

    def put(self, stages: Sequence[str] | None) -> None:
        """Ask for these and no others from now on; None for all."""
        if stages is None:
            self._storage.delete([self._path])
        else:
            self._storage.write_json(self._path, {"stages": list(stages)})

    def extend(self, stage: str) -> None:
        stages = self.read()
        if stages is not None and stage not in stages:
            self.put((*stages, stage))
