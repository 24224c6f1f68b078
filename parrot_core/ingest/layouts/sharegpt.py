"""The ShareGPT layout: ``{"id": …, "conversations": [{"from": "human", "value": …}, …]}``."""

import re
from dataclasses import dataclass

from parrot_core.engines.types import Message
from parrot_core.ingest.layouts.layout import (
    Layout,
    Misfit,
    describe,
    speaker_messages,
    usable_id,
)

EXPECTED = 'the ShareGPT layout: {"id": …, "conversations": [{"from": …, "value": …}, …]}'

_PART = re.compile(r"(?P<base>.+)_(?P<part>\d+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class SessionId:
    """A record's id, taken apart: dumps split long sessions into ``X_0``, ``X_7`` …"""

    base: str
    part: int | None  # index of the part's first message in the session; None: not split

    @property
    def opens_session(self) -> bool:
        """Whether the record holds the session's beginning."""
        return self.part in (None, 0)


def parse_id(record_id: str) -> SessionId:
    """Take a record id apart. All parts of one session share ``base``."""
    match = _PART.fullmatch(record_id)
    return SessionId(match["base"], int(match["part"])) if match else SessionId(record_id, None)


def _record_id(record: object) -> str | None:
    return usable_id(record.get("id")) if isinstance(record, dict) else None


def _looks_like(record: object) -> bool:
    turns = record.get("conversations") if isinstance(record, dict) else None
    return isinstance(turns, list) and all(
        isinstance(turn, dict) and "from" in turn and "value" in turn for turn in turns
    )


def _read(record: object) -> list[Message] | Misfit:
    turns = record.get("conversations") if isinstance(record, dict) else None
    if not isinstance(turns, list):
        return Misfit(f"found {describe(record)}, expected {EXPECTED}")
    return speaker_messages(turns, "conversations", "from", "value")


SHAREGPT = Layout("sharegpt", EXPECTED, _looks_like, _record_id, _read, splits_sessions=True)
