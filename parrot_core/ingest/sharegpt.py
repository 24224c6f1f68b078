"""The ShareGPT layout: ``{"id": …, "conversations": [{"from": "human", "value": …}, …]}``."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from parrot_core.engines.types import Role

EXPECTED = 'the ShareGPT layout: {"id": …, "conversations": [{"from": …, "value": …}, …]}'

SPEAKERS: Mapping[str, Role] = {
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bing": "assistant",
    "bard": "assistant",
    "assistant": "assistant",
    "system": "system",
}

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


def record_id(record: object) -> str | None:
    """The id that a record carries, if it carries a usable one."""
    value = record.get("id") if isinstance(record, dict) else None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) and value else None


def looks_like(record: object) -> bool:
    """Whether a record is in this layout, as far as its shape goes."""
    turns = record.get("conversations") if isinstance(record, dict) else None
    return isinstance(turns, list) and all(
        isinstance(turn, dict) and "from" in turn and "value" in turn for turn in turns
    )


def describe(record: object) -> str:
    """What a record is, in a few words, for the error that says it's not in this layout."""
    if isinstance(record, dict):
        keys = ", ".join(repr(key)[:40] for key in list(record)[:6]) or "no keys"
        return f"an object with {keys}"
    return {list: "an array", str: "a string", type(None): "null"}.get(type(record), "a number")
