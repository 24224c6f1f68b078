"""What a source layout is: it tells its records from others and reads them into messages."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from parrot_core.engines.types import Message

_PART = re.compile(r"(?P<base>.+)_(?P<part>\d+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class SessionId:
    """A record's id, taken apart: dumps split long sessions into ``X_0``, ``X_7`` …"""

    base: str
    part: int | None  # index of the part's first message in the session; None: not split


def parse_id(record_id: str) -> SessionId:
    """Take a record id apart. All parts of one session share ``base``."""
    match = _PART.fullmatch(record_id)
    if match is None or len(match["part"]) > 9:  # a longer number is a date or a hash
        return SessionId(record_id, None)
    return SessionId(match["base"], int(match["part"]))


@dataclass(frozen=True, slots=True)
class Misfit:
    """A record that isn't in the layout, and why."""

    why: str


@dataclass(frozen=True, slots=True)
class Reading:
    """How the recipe wants records read; ``counts`` fills with what was done about odd turns."""

    speakers: Mapping[str, str] = field(default_factory=dict)
    """Names of speakers beyond the usual ones, in lower case, to ``user``, ``assistant`` …"""
    tools: Literal["drop", "text"] = "drop"
    """What becomes of calls of tools and their results, see ``turns``."""
    paths: Literal["best", "all"] = "best"
    """Which paths of a tree of messages are sessions."""
    counts: Counter[str] = field(default_factory=Counter)


USUAL = Reading()
"""As a recipe that says nothing about it."""


@dataclass(frozen=True, slots=True)
class Layout:
    """One way to write a conversation as a record: a file in this folder that makes ``LAYOUT``."""

    name: str
    expected: str
    """What a record looks like, for the docs and for the error that something else was found."""
    looks_like: Callable[[object], bool]
    """Whether a record is in this layout, as far as its shape goes; cheap."""
    record_id: Callable[[object], str | None]
    """The id that a record carries, if it carries a usable one."""
    parse: Callable[[object, Reading], list[Message] | Misfit]
    """The record's messages as they are: not cleaned, possibly none."""
    splits_sessions: bool = False
    """Whether ``X_0``, ``X_7`` … may be the parts of one long session ``X``."""
    rank: int = 0
    """Which layout a record is in that looks like several: the one of the highest rank."""
    unfold: Callable[[object, Reading], Iterable[object]] | None = None
    """The conversations in a record that holds several, as records of the same layout."""
    gather: Callable[[Iterator[object]], Iterator[object]] | None = None
    """Puts records together from the rows of a file whose rows are single messages."""

    def read(self, record: object, reading: Reading = USUAL) -> list[Message] | Misfit:
        """The record's messages, or why they can't be read."""
        return self.parse(record, reading)

    def session_of(self, record_id: str) -> SessionId:
        """The session that the record of this id is, or may be a part of."""
        return parse_id(record_id) if self.splits_sessions else SessionId(record_id, None)


def misfit(record: object, expected: str) -> Misfit:
    return Misfit(f"found {describe(record)}, expected {expected}")


def describe(record: object) -> str:
    if isinstance(record, dict):
        keys = ", ".join(repr(key)[:40] for key in list(record)[:6]) or "no keys"
        return f"an object with {keys}"
    return {list: "an array", str: "a string", type(None): "null"}.get(type(record), "a number")


def shape(value: object, depth: int = 3) -> str:
    """A record as its keys and kinds of values, without what it says."""
    if isinstance(value, dict):
        if not depth:
            return "{…}"
        shown = [f'"{str(key)[:30]}": {shape(value[key], depth - 1)}' for key in list(value)[:6]]
        return "{" + ", ".join([*shown, "…"] if len(value) > 6 else shown) + "}"
    if isinstance(value, list):
        return f"[{shape(value[0], depth - 1)}, …]" if value and depth else "[]"
    if isinstance(value, bool) or value is None:
        return "null" if value is None else "true or false"
    return "text" if isinstance(value, str) else "a number"


def id_under(*keys: str) -> Callable[[object], str | None]:
    """Read a record's id from the first of these keys that holds a non-empty text or an integer."""

    def record_id(record: object) -> str | None:
        if not isinstance(record, dict):
            return None
        for key in keys:
            value = record.get(key)
            if isinstance(value, int) and not isinstance(value, bool):
                return str(value)
            if isinstance(value, str) and value:
                return value
        return None

    return record_id


def text_under(record: object, *keys: str) -> str | None:
    """The text under the first of these keys that holds one."""
    if isinstance(record, dict):
        for key in keys:
            if isinstance(value := record.get(key), str) and value.strip():
                return value
    return None
