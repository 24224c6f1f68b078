"""A local file of messages and facts about them, to read again without holding them in memory."""

import struct
from typing import Any, cast

import orjson

from parrot_core.stages.ingest.rules.rule import Messages
from parrot_core.stages.ingest.scratch_file import ScratchFile

_LENGTHS = struct.Struct("=QQ")


class Spool(ScratchFile):
    """Appends messages and reads any of them again."""

    def append(self, facts: object, messages: bytes) -> int:
        """Write some messages, JSON already, and what is known of them; returns their place.

        ``facts`` is a dataclass of what JSON knows.
        """
        known = orjson.dumps(facts)
        return self.write(_LENGTHS.pack(len(known), len(messages)) + known + messages)

    def facts(self, place: int) -> dict[str, Any]:
        """What is known of the messages written at ``place``."""
        length, _ = self._lengths(place)
        return cast(dict[str, Any], orjson.loads(self.read(place + _LENGTHS.size, length)))

    def messages(self, place: int) -> Messages:
        """The messages written at ``place``."""
        before, length = self._lengths(place)
        return cast(Messages, orjson.loads(self.read(place + _LENGTHS.size + before, length)))

    def _lengths(self, place: int) -> tuple[int, int]:
        return cast(tuple[int, int], _LENGTHS.unpack(self.read(place, _LENGTHS.size)))
