"""Joins the parts of sessions that a dump has split, where they fit.

ShareGPT's dumps cut long sessions into records ``X_0``, ``X_7`` …, the number being the place of
the part's first message. A part begins where the one before ends, or repeats its last message.
"""

import struct
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from pathlib import Path

import orjson

from parrot_core.stages.base import Row, ShardWork
from parrot_core.stages.ingest.columns import Columns
from parrot_core.stages.ingest.rules.rule import Messages
from parrot_core.stages.ingest.spool import Spool
from parrot_core.text.text_hash import text_hash

_SESSION, _PLACE = range(2)
_KNOWN = struct.Struct("=2Q")
_READ_ONCE = 64
"""Parts of a session that are kept while it is looked whether they agree."""


@dataclass(frozen=True, slots=True)
class Part:
    """What is known of a record without its messages."""

    session: str
    is_part: bool
    first: int  # place of its first message in the session
    length: int  # messages
    id: str
    source: str
    record_index: int
    order: int  # place of the record among all


@dataclass(slots=True)
class Joined:
    """A session put together from one record or more."""

    parts: list[Part]
    messages: Messages

    @property
    def end(self) -> int:
        """Place after its last message."""
        return self.parts[0].first + len(self.messages)


def sessions(work: ShardWork, folder: Path) -> Iterator[Joined]:
    """Yield the records, joined to sessions where they are parts of one.

    A record that is no part, or the only one of its session, is yielded as it is read; parts wait
    in a file in ``folder``.
    """
    with ExitStack() as stack:
        waiting = stack.enter_context(Spool(folder))
        known = stack.enter_context(Columns(folder, 2))
        waits = _to_be_joined(work, folder)
        for order, row in enumerate(work.rows()):
            part, messages = _part(row, order), row["messages"]
            if waits and waits[order]:
                place = waiting.append(part, orjson.dumps(messages))
                known.append(_KNOWN.pack(text_hash(part.session), place))
            else:
                yield Joined([part], messages)
        for numbers in known.alike(_SESSION):
            yield from _joined(waiting, [known.at(_PLACE, number) for number in numbers.tolist()])


def _to_be_joined(work: ShardWork, folder: Path) -> bytes:
    """1 for each record that is a part, as all other records of its session are; none: no record.

    Read off two columns beforehand, so that most records need not wait for others.
    """
    if not work.run.recipe.ingest.join_parts:
        return b""
    are_parts = bytearray()
    with Columns(folder, 1) as ids:
        for row in work.rows(("session", "part")):
            are_parts.append(row["part"])
            ids.append(text_hash(row["session"]).to_bytes(8, sys.byteorder))
        waits = bytearray(len(are_parts))
        for places in ids.alike(0):
            orders = places.tolist()
            if all(are_parts[order] for order in orders):
                for order in orders:
                    waits[order] = 1
    return bytes(waits) if any(waits) else b""


def _joined(waiting: Spool, places: Sequence[int]) -> Iterator[Joined]:
    """Yield the sessions of parts that wait at some places: those of one hash of an id."""
    parts = [Part(**waiting.facts(place)) for place in places]
    place_of = {part.id: place for part, place in zip(parts, places, strict=True)}
    parts.sort(key=lambda part: part.session)
    for _, same in groupby(parts, key=lambda part: part.session):
        read = lru_cache(_READ_ONCE)(lambda part: waiting.messages(place_of[part.id]))
        yield from join(list(same), read)


def _part(row: Row, order: int) -> Part:
    return Part(
        session=row["session"],
        is_part=row["part"],
        first=row["first_message"],
        length=len(row["messages"]),
        id=row["id"],
        source=row["source"],
        record_index=row["record_index"],
        order=order,
    )


def join(parts: Sequence[Part], read: Callable[[Part], Messages]) -> Iterator[Joined]:
    """Yield the sessions that the records of one session id make, a session at a time.

    Records that contradict each other (two texts at one place) show that the id isn't one
    session's: then none are joined. A gap begins a new session.

    Args:
        parts: all records of the id.
        read: a record's messages.
    """
    ordered = sorted(parts, key=lambda part: (part.first, -part.length, part.id))
    joinable = len(ordered) > 1 and all(p.is_part for p in ordered) and _agree(ordered, read)
    session: Joined | None = None
    for part in ordered:
        messages = read(part)
        if session is not None and joinable and part.first <= session.end:
            session.parts.append(part)
            session.messages += messages[session.end - part.first :]
            continue
        if session is not None:
            yield session
        session = Joined([part], list(messages))
    if session is not None:
        yield session


def _agree(parts: Sequence[Part], read: Callable[[Part], Messages]) -> bool:
    """Whether all messages that are there twice are the same."""
    before: Messages = []
    start = 0
    for part in parts:
        messages = read(part)
        shared = start + len(before) - part.first
        if shared > 0:
            offset = part.first - start
            again = before[offset : offset + len(messages)]
            if again != messages[: len(again)]:
                return False
        if shared < len(messages):
            start, before = part.first, messages
    return True
