"""Joins the parts of sessions that a dump has split, where ids and messages show that they are."""

import struct
import sys
from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from parrot_core.stages.base import Row, ShardWork
from parrot_core.stages.ingest.columns import Columns
from parrot_core.stages.ingest.numbering import (
    MOST_PARTS,
    Evidence,
    Part,
    SourceNumbering,
    Step,
    evidence,
    in_order,
    signs,
    steps,
)
from parrot_core.stages.ingest.rules.rule import Messages
from parrot_core.stages.ingest.spool import Spool
from parrot_core.text.text_hash import text_hash

_SESSION, _PLACE = range(2)
_KNOWN = struct.Struct("=2Q")
_EXAMPLES = 3


@dataclass(slots=True)
class Joined:
    """A session put together from one record or more."""

    parts: list[Part]
    messages: Messages
    group: str
    """The id that it shares with what else is left of its session, if that was in parts."""
    opens: bool
    """Whether it holds its session's beginning."""
    ends: bool = True
    """Whether no later part of its session is known."""


class SessionParts:
    """The records of a run, joined to sessions where they are parts of one.

    A record that is no part, or part 0 and the only one of its session, is yielded as it is read.
    Others wait in a file until all have been seen, for what their source's ids show.
    """

    def __init__(self, work: ShardWork, folder: Path) -> None:
        """``folder`` is a local one for files of numbers and texts."""
        self._work = work
        self._folder = folder
        self._join = work.run.recipe.ingest.join_parts
        self._sources: dict[str, SourceNumbering] = defaultdict(SourceNumbering)
        self._counts: Counter[str] = Counter(sessions=0, records=0)
        self._joined: list[dict[str, Any]] = []
        self._counted: dict[str, Counter[str]] = defaultdict(Counter)
        self._number_examples: dict[str, list[str]] = defaultdict(list)

    def sessions(self) -> Iterator[Joined]:
        with ExitStack() as stack:
            waiting = stack.enter_context(Spool(self._folder))
            known = stack.enter_context(Columns(self._folder, 2))
            waits = self._waiting()
            for order, row in enumerate(self._work.rows()):
                waits_now = bool(waits) and waits[order] == 1
                part, messages = _part(row, order, signed=waits_now)
                if waits_now:
                    place = waiting.append(part, orjson.dumps(messages))
                    known.append(_KNOWN.pack(text_hash(part.session), place))
                else:
                    yield Joined([part], messages, part.session, opens=part.first == 0)
            undecided = array("Q")  # places in the spool, those of one base id in a row
            for records in _by_session(waiting, known):
                self._sources[records.parts[0].source].found[records.shows] += 1
                if records.shows in (Evidence.PROVEN, Evidence.REFUTED):
                    yield from self._of_one_id(records)
                else:
                    undecided.extend((len(records.places), *records.places))
            start = 0
            while start < len(undecided):
                end = start + 1 + undecided[start]
                for records in _records(waiting, undecided[start + 1 : end]):
                    yield from self._of_one_id(records)
                start = end

    def metrics(self) -> dict[str, Any]:
        """What was joined and why; which records have ids that only count."""
        numbered = {source: counts["records"] for source, counts in self._counted.items()}
        return {
            "joined": dict(self._counts),
            "joined_examples": self._joined,
            "numbered_records": dict(sorted(numbered.items())),
        }

    def warnings(self) -> Iterator[str]:
        """One for each source whose ids look like running numbers."""
        for source, counts in sorted(self._counted.items()):
            examples = ", ".join(sorted(self._number_examples[source]))
            yield (
                f"{source}: the ids of {counts['records']:,} records ({examples} …) look like "
                "running numbers, not like parts of sessions: each record is taken for a session "
                "of its own"
            )

    def _waiting(self) -> bytes:
        """1 for each record that may be a part of a session that others are parts of too.

        Read off three columns beforehand, so that most records need not wait for others.
        """
        waits = bytearray()
        with Columns(self._folder, 1) as ids:
            for row in self._work.rows(("session", "part", "first_message")):
                waits.append(row["part"] and row["first_message"] > 0)
                ids.append(text_hash(row["session"]).to_bytes(8, sys.byteorder))
            later = np.frombuffer(waits, np.uint8)
            for places in ids.alike(0):
                if later[places].any():
                    later[places] = 1
            del later
        return bytes(waits) if any(waits) else b""

    def _of_one_id(self, records: "_Records") -> Iterator[Joined]:
        """Yield the sessions that the records of one base id make."""
        parts, read = records.parts, records.read
        source = parts[0].source
        if not self._sources[source].are_parts(records.shows, len(parts)):
            if any(part.first for part in parts):
                self._counted[source]["records"] += len(parts)
                examples = [*self._number_examples[source], *(part.own_id for part in parts[:3])]
                self._number_examples[source] = sorted(examples)[:_EXAMPLES]
            yield from (Joined([part], read(part), part.own_id, opens=True) for part in parts)
            return
        session: Joined | None = None
        how: list[Step] = []
        for part, step in zip(parts, [Step.GAP, *steps(parts)], strict=True):
            if session is not None and step.joins and self._join:
                end = session.parts[0].first + len(session.messages)
                session.messages += read(part)[end - part.first :]
                session.parts.append(part)
                how.append(step)
                continue
            if session is not None:
                session.ends = False
                yield self._tallied(session, how)
            session = Joined([part], list(read(part)), part.session, opens=part.first == 0)
            how = []
        if session is not None:
            yield self._tallied(session, how)

    def _tallied(self, session: Joined, how: Sequence[Step]) -> Joined:
        if how:
            self._counts.update(sessions=1, records=len(session.parts))
            self._counts.update(step.name.lower() for step in how)
            reasons = zip(session.parts[1:], how, strict=True)
            why = [f"{part.own_id} {step.value}" for part, step in reasons]
            example = {"id": session.parts[0].id, "why": why[:_EXAMPLES]}
            kept = sorted([*self._joined, example], key=lambda one: text_hash(one["id"]))
            self._joined = kept[:_EXAMPLES]
        return session


@dataclass(slots=True)
class _Records:
    """The records of one base id, in order."""

    parts: list[Part]
    shows: Evidence
    places: Sequence[int]
    read: Callable[[Part], Messages]


def _by_session(waiting: Spool, known: Columns) -> Iterator[_Records]:
    """Yield the records that wait, by base id; of very many as many at once as may be parts."""
    for numbers, places in known.ascending(_SESSION):
        starts = np.flatnonzero(np.r_[True, numbers[1:] != numbers[:-1]])
        for run in np.split(places, starts[1:]):
            for some in np.split(run, range(MOST_PARTS, run.size, MOST_PARTS)):
                for records in _records(waiting, [known.at(_PLACE, n) for n in some.tolist()]):
                    if run.size > MOST_PARTS:
                        records.shows = Evidence.REFUTED
                    yield records


def _records(waiting: Spool, places: Sequence[int]) -> Iterator[_Records]:
    """The records at some places, which have one hash of a base id."""
    parts = [Part(**waiting.facts(place)) for place in places]
    place_of = {part.order: place for part, place in zip(parts, places, strict=True)}
    parts.sort(key=lambda part: part.session)
    for _, same in groupby(parts, key=lambda part: part.session):
        ordered = in_order(same)
        yield _Records(
            ordered,
            evidence(ordered),
            [place_of[part.order] for part in ordered],
            lambda part: waiting.messages(place_of[part.order]),
        )


def _part(row: Row, order: int, *, signed: bool) -> tuple[Part, Messages]:
    messages: Messages = row["messages"]
    roles, hashes = signs(messages) if signed else ("", [])
    part = Part(
        session=row["session"],
        is_part=row["part"],
        first=row["first_message"],
        roles=roles,
        hashes=hashes,
        id=row["id"],
        source=row["source"],
        record_index=row["record_index"],
        order=order,
    )
    return part, messages
