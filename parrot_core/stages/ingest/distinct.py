"""Tells which sessions are the same, nearly the same, or the benchmark's, and groups them."""

import hashlib
import struct
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from pathlib import Path

import numpy as np

from parrot_core.recipe import NearDuplicates
from parrot_core.stages.ingest.columns import Columns
from parrot_core.stages.ingest.examine import Examined
from parrot_core.stages.ingest.near_duplicates import BANDS, Groups, Pair, repeats, similar_pairs
from parrot_core.stages.ingest.rules.rule import Messages, Rejection
from parrot_core.stages.ingest.shingles import Shingler
from parrot_core.stages.ingest.spool import Spool
from parrot_core.text.text_hash import text_hash

_KEY, _DIGEST, _BASE, _ORDER, _PLACE = range(5)
_FACTS = struct.Struct("=5Q")
_WHOLE = range(5, 5 + BANDS)
_OPENING = range(5 + BANDS, 5 + 2 * BANDS)
_NO_BANDS = bytes(8 * BANDS)
_MOST_TURNS = 0xFFFF
"""Longer sessions are as long as each other when it comes to which one stays."""


@dataclass(frozen=True, slots=True)
class ComparedSession:
    """What is known of a clean session without its messages."""

    id: str
    source_ids: Sequence[str]
    base: str  # the id that all parts of a split session share
    source: str
    record_index: int
    order: int  # place among all records
    language: str | None
    system: str | None
    flags: Sequence[str]
    opens: bool
    ends: bool
    turns: int
    benchmark: str | None  # which of the benchmark's questions it holds, in a few words


@dataclass(frozen=True, slots=True)
class DuplicateVerdict:
    """Whether a session stays, and which group it belongs to."""

    group: str
    rejection: Rejection | None


class Distinct:
    """Compares sessions with each other.

    Sessions are looked at longest first, those of one length in the order of their content's
    hash, so that neither files nor their order decide. The first of those alike is the one that
    stays. A group holds all sessions that are linked by an id, by their text or by their opening
    query; it goes by the session id of its first.

    Everything that is as long as the number of sessions is in files, but for a dozen bytes of each
    session: its rank, its group and what it is a copy of. Contents and session ids are compared by
    64-bit hashes: that any two of ten million have one hash has a probability of 3 in a million.
    """

    def __init__(
        self, settings: NearDuplicates, shingler: Shingler, folder: Path, stack: ExitStack
    ) -> None:
        """``stack`` closes the files, which are in ``folder``."""
        self._settings = settings
        self._shingler = shingler
        self._texts = stack.enter_context(Spool(folder))
        width = 5 if settings.similarity is None else 5 + 2 * BANDS
        self._columns = stack.enter_context(Columns(folder, width))
        self._contaminated: set[int] = set()
        self._near: dict[int, tuple[str, Pair]] = {}
        self._ranks = array("I")
        self._same = array("I")
        self._groups = Groups(self._ranks)
        self.figures: dict[str, int] = {}

    def add(self, session: ComparedSession, found: Examined) -> None:
        """Take in a session, to be compared with all others."""
        if session.benchmark:
            self._contaminated.add(len(self._columns))
        place = self._texts.append(session, found.messages)
        row = _FACTS.pack(
            _key(session.turns, session.base.encode("utf-8", "surrogatepass") + found.digest),
            int.from_bytes(found.digest[:8], "big"),
            text_hash(session.base),
            session.order,
            place,
        )
        if self._settings.similarity is not None:
            row += (found.signature or _NO_BANDS) + (found.opening or _NO_BANDS)
        self._columns.append(row)

    def judge(self) -> None:
        """Compare all sessions that were added."""
        total = len(self._columns)
        self._ranks = array("I", bytes(4 * total))
        ranks, ranked = np.frombuffer(self._ranks, np.uint32), 0
        for _, places in self._columns.ascending(_KEY):
            ranks[places] = np.arange(ranked, ranked + places.size)
            ranked += places.size
        self._groups = Groups(self._ranks)
        self._same = array("I", range(total))
        for first, *others in self._alike(_DIGEST):
            for other in others:
                self._same[other] = first
                self._groups.join(first, other)
        for first, *others in self._alike(_BASE):
            for other in others:
                self._groups.join(first, other)
        self._find_near()
        sizes = self._groups.sizes()
        self.figures |= {
            "groups": int(np.count_nonzero(sizes)),
            "of_several_sessions": int(np.count_nonzero(sizes > 1)),
            "largest": int(sizes.max(initial=0)),
        }

    def in_order(self) -> Iterator[tuple[ComparedSession, Messages, DuplicateVerdict]]:
        """Yield all sessions in the order of their records, each with the verdict on it."""
        first_of = lru_cache(1 << 12)(self._session)  # of groups and of copies
        for _, places in self._columns.ascending(_ORDER):
            for number in places.tolist():
                session = self._session(number)
                root = self._groups.root(number)
                group = session.base if root == number else first_of(root).base
                rejection = self._rejection(number, session, first_of)
                messages = self._texts.messages(self._columns.at(_PLACE, number))
                yield session, messages, DuplicateVerdict(group, rejection)

    def _alike(self, column: int) -> Iterator[list[int]]:
        """Sessions that hold the same number, the first in rank first."""
        ranks = np.frombuffer(self._ranks, np.uint32)
        for places in self._columns.alike(column):
            yield places[np.argsort(ranks[places])].tolist()

    def _alike_of_left(self, columns: Sequence[int]) -> Iterator[list[int]]:
        """The same for several columns, without copies and what is the benchmark's."""
        for members in chain.from_iterable(self._alike(column) for column in columns):
            left = [m for m in members if self._same[m] == m and m not in self._contaminated]
            if len(left) > 1:
                yield left

    def _find_near(self) -> None:
        least = self._settings.similarity
        if least is None:
            self.figures |= {"alike_sessions": 0, "alike_first_queries": 0}
            return
        sessions = similar_pairs(
            self._alike_of_left(_WHOLE),
            lambda number: self._shingler.of_session(self._messages(number)),
            least,
            self._ranks,
        )
        queries = similar_pairs(
            self._alike_of_left(_OPENING),
            lambda number: self._shingler.of_query(self._messages(number)[0]["content"]),
            least,
            self._ranks,
        )
        for pairs, reject, what in (
            (sessions, self._settings.sessions == "reject", "session"),
            (queries, self._settings.first_queries == "reject", "opening query"),
        ):
            for pair in pairs:
                self._groups.join(pair.first, pair.second)
            if reject:
                standing = [p for p in pairs if not {p.first, p.second} & self._near.keys()]
                given_up = repeats(standing)
                self._near |= {number: (what, pair) for number, pair in given_up.items()}
        self.figures |= {"alike_sessions": len(sessions), "alike_first_queries": len(queries)}

    def _rejection(
        self, number: int, session: ComparedSession, first_of: Callable[[int], ComparedSession]
    ) -> Rejection | None:
        if self._same[number] != number:
            same = first_of(self._same[number]).id
            return Rejection("duplicate", f"the same messages as {same}")
        if session.benchmark:
            return Rejection("contaminated", session.benchmark)
        if number not in self._near:
            return None
        what, pair = self._near[number]
        like = f"{pair.similarity:.2f} like that of {first_of(pair.first).id}"
        return Rejection("near_duplicate", f"the {what} is {like}")

    def _session(self, number: int) -> ComparedSession:
        return ComparedSession(**self._texts.facts(self._columns.at(_PLACE, number)))

    def _messages(self, number: int) -> Messages:
        return self._texts.messages(self._columns.at(_PLACE, number))


def _key(turns: int, content: bytes) -> int:
    """The longest session has the lowest; in one length a hash of the content decides.

    Not the content's hash itself, so that no order of hashing shows in what stays.
    """
    rank = int.from_bytes(hashlib.blake2b(content).digest()[:6], "big")
    return (_MOST_TURNS - min(turns, _MOST_TURNS)) << 48 | rank
