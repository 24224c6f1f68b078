"""A temporary local file for data too large for memory: append, then read anywhere."""

import os
import tempfile
from pathlib import Path
from typing import Self

_BUFFER_BYTES = 1 << 20


class ScratchFile:
    """Gone when it is closed, or when the process ends however it may."""

    def __init__(self, folder: Path) -> None:
        """Make the file in ``folder``, a local one that need not exist."""
        folder.mkdir(parents=True, exist_ok=True)
        # closed by __exit__
        self._file = tempfile.TemporaryFile(dir=folder, buffering=_BUFFER_BYTES)  # noqa: SIM115
        self._end = 0
        self._flushed = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self._file.close()

    def write(self, data: bytes) -> int:
        """Append; returns where it stands."""
        place = self._end
        self._end += self._file.write(data)
        return place

    def read(self, start: int, length: int) -> bytes:
        if start + length > self._flushed:
            self._file.flush()
            self._flushed = self._end
        return os.pread(self._file.fileno(), length, start)
