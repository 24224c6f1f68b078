"""A local file of messages to come back to: what is known of them stays in memory, they don't."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import cast

import orjson

from parrot_core.engines.types import Message

_LENGTH_BYTES = 8


class Spool:
    """Appends messages and reads any of them again; the file is gone when the spool is closed."""

    def __init__(self, folder: Path) -> None:
        """Make the file in ``folder``, which need not exist."""
        folder.mkdir(parents=True, exist_ok=True)
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  closed by __exit__
        self._end = 0
        self._reading = False

    def __enter__(self) -> "Spool":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()

    def append(self, messages: Sequence[Message]) -> int:
        """Write some messages; returns their place."""
        return self.append_json(orjson.dumps(list(messages)))

    def append_json(self, data: bytes) -> int:
        """The same for messages that are JSON already."""
        if self._reading:
            self._file.seek(self._end)
            self._reading = False
        place = self._end
        self._end += self._file.write(len(data).to_bytes(_LENGTH_BYTES, "big") + data)
        return place

    def read(self, place: int) -> list[Message]:
        """The messages written at ``place``."""
        self._reading = True
        self._file.seek(place)
        length = int.from_bytes(self._file.read(_LENGTH_BYTES), "big")
        return cast(list[Message], orjson.loads(self._file.read(length)))
