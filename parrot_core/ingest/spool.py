"""A local file of messages and what is known of them, to come back to: memory holds neither."""

import os
import struct
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, cast

import orjson

from parrot_core.ingest.rules.rule import Messages

_LENGTHS = struct.Struct("=QQ")
_BUFFER_BYTES = 1 << 20


class Spool:
    """Appends messages and reads any of them again; the file is gone when the spool is closed."""

    def __init__(self, folder: Path) -> None:
        """Make the file in ``folder``, which need not exist."""
        folder.mkdir(parents=True, exist_ok=True)
        # closed by __exit__
        self._file = tempfile.TemporaryFile(dir=folder, buffering=_BUFFER_BYTES)  # noqa: SIM115
        self._end = 0
        self._flushed = 0

    def __enter__(self) -> "Spool":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()

    def append(self, facts: object, messages: bytes) -> int:
        """Write some messages, JSON already, and what is known of them; returns their place.

        ``facts`` is a dataclass of what JSON knows.
        """
        known, place = orjson.dumps(facts), self._end
        for data in (_LENGTHS.pack(len(known), len(messages)), known, messages):
            self._end += self._file.write(data)
        return place

    def facts(self, place: int) -> dict[str, Any]:
        """What is known of the messages written at ``place``."""
        length, _ = self._lengths(place)
        return cast(dict[str, Any], orjson.loads(self._bytes(place + _LENGTHS.size, length)))

    def messages(self, place: int) -> Messages:
        """The messages written at ``place``."""
        before, length = self._lengths(place)
        return cast(Messages, orjson.loads(self._bytes(place + _LENGTHS.size + before, length)))

    def _lengths(self, place: int) -> tuple[int, int]:
        return cast(tuple[int, int], _LENGTHS.unpack(self._bytes(place, _LENGTHS.size)))

    def _bytes(self, start: int, length: int) -> bytes:
        if start + length > self._flushed:
            self._file.flush()
            self._flushed = self._end
        return os.pread(self._file.fileno(), length, start)
