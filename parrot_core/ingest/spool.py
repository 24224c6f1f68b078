"""A local file of rows to come back to: what is known of a row stays in memory, the row doesn't."""

import pickle
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Spool(Generic[Item]):
    """Appends items and reads any of them again; the file is gone when the spool is closed."""

    def __init__(self, folder: Path) -> None:
        """Make the file in ``folder``, which need not exist."""
        folder.mkdir(parents=True, exist_ok=True)
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  closed by __exit__
        self._end = 0
        self._reading = False

    def __enter__(self) -> "Spool[Item]":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()

    def append(self, item: Item) -> int:
        """Write an item; returns its place."""
        data = pickle.dumps(item, protocol=pickle.HIGHEST_PROTOCOL)
        if self._reading:
            self._file.seek(self._end)
            self._reading = False
        place = self._end
        self._end += self._file.write(data)
        return place

    def read(self, place: int) -> Item:
        """The item written at ``place``."""
        self._reading = True
        self._file.seek(place)
        item: Item = pickle.load(self._file)  # written by this process
        return item
