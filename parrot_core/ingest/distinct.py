"""Tells which sessions are the same, nearly the same, or the benchmark's, and groups them."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from parrot_core.engines.types import Message
from parrot_core.ingest.near_duplicates import BANDS, Groups, Pair, repeats, similar_pairs
from parrot_core.ingest.rules.rule import Rejection
from parrot_core.ingest.shingles import Shingler
from parrot_core.recipe import NearDuplicates


@dataclass(frozen=True, slots=True)
class Session:
    """What is known of a clean session without its messages."""

    id: str
    source_ids: tuple[str, ...]
    base: str  # the id that all parts of a split session share
    source: str
    record_index: int
    language: str | None
    flags: tuple[str, ...]
    opens: bool
    turns: int
    digest: bytes  # of the messages
    order: int  # place among all records
    place: int  # where the messages are
    benchmark: str | None  # which of the benchmark's questions it holds, in a few words
    signature: bytes | None  # bands of its text; None: it has no words
    opening: bytes | None  # bands of its opening query; None: that is too short to tell


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a session stays, and which group it belongs to."""

    group: str
    rejection: Rejection | None


class Distinct:
    """Compares sessions with each other.

    Sessions are looked at longest first, those of one length in the order of their content's
    hash, so that neither files nor their order decide. The first of those alike is the one that
    stays. A group holds all sessions that are linked by an id, by their text or by their opening
    query; it goes by the session id of its first.
    """

    def __init__(
        self,
        settings: NearDuplicates,
        shingler: Shingler,
        read: Callable[[int], Sequence[Message]],
    ) -> None:
        """``read`` gives the messages of a session's ``place``."""
        self._settings = settings
        self._shingler = shingler
        self._read = read
        self.figures: dict[str, int] = {}

    def judge(self, sessions: Sequence[Session]) -> Mapping[str, Verdict]:
        """The verdict on each session, by its id."""
        ordered = sorted(sessions, key=lambda one: (-one.turns, _rank(one), one.base, one.order))
        groups = Groups(len(ordered))
        rejected = self._copies(ordered, groups)
        _join_same(ordered, groups)
        compared = [place for place in range(len(ordered)) if place not in rejected]
        rejected |= self._alike(ordered, compared, groups)
        self._measure(groups, len(ordered))
        return {
            one.id: Verdict(ordered[groups.root(place)].base, rejected.get(place))
            for place, one in enumerate(ordered)
        }

    def _copies(self, ordered: Sequence[Session], groups: Groups) -> dict[int, Rejection]:
        """Exact copies, apart from case and spacing."""
        first: dict[bytes, int] = {}
        rejected: dict[int, Rejection] = {}
        for place, session in enumerate(ordered):
            same = first.setdefault(session.digest, place)
            if same != place:
                groups.join(same, place)
                detail = f"the same messages as {ordered[same].id}"
                rejected[place] = Rejection("duplicate", detail)
        return rejected

    def _alike(
        self, ordered: Sequence[Session], compared: Sequence[int], groups: Groups
    ) -> dict[int, Rejection]:
        rejected = {
            place: Rejection("contaminated", held)
            for place in compared
            if (held := ordered[place].benchmark)
        }
        least = self._settings.similarity
        if least is None:
            self.figures |= {"alike_sessions": 0, "alike_first_queries": 0}
            return rejected
        left = [place for place in compared if place not in rejected]
        alike_from, whole = _bands({place: ordered[place].signature for place in left})
        opened_by, opening = _bands({place: ordered[place].opening for place in left})
        read, shingler = self._read, self._shingler
        sessions = similar_pairs(
            whole, lambda i: shingler.of_session(read(ordered[alike_from[i]].place)), least
        )
        queries = similar_pairs(
            opening,
            lambda i: shingler.of_query(read(ordered[opened_by[i]].place)[0]["content"]),
            least,
        )
        for pairs, places, reject, what in (
            (sessions, alike_from, self._settings.sessions == "reject", "session"),
            (queries, opened_by, self._settings.first_queries == "reject", "opening query"),
        ):
            named = [Pair(places[p.first], places[p.second], p.similarity) for p in pairs]
            for pair in named:
                groups.join(pair.first, pair.second)
            if reject:
                standing = [p for p in named if not {p.first, p.second} & rejected.keys()]
                for place, pair in repeats(standing).items():
                    like = f"{pair.similarity:.2f} like that of {ordered[pair.first].id}"
                    rejected[place] = Rejection("near_duplicate", f"the {what} is {like}")
        self.figures |= {"alike_sessions": len(sessions), "alike_first_queries": len(queries)}
        return rejected

    def _measure(self, groups: Groups, total: int) -> None:
        sizes: dict[int, int] = {}
        for place in range(total):
            root = groups.root(place)
            sizes[root] = sizes.get(root, 0) + 1
        self.figures |= {
            "groups": len(sizes),
            "of_several_sessions": sum(size > 1 for size in sizes.values()),
            "largest": max(sizes.values(), default=0),
        }


def _bands(signatures: Mapping[int, bytes | None]) -> tuple[list[int], NDArray[np.uint64]]:
    """The places that have a signature, and these, shape (places, BANDS)."""
    places = [place for place, signature in signatures.items() if signature is not None]
    joined = b"".join(filter(None, signatures.values()))
    return places, np.frombuffer(joined, np.uint64).reshape(-1, BANDS)


def _join_same(ordered: Sequence[Session], groups: Groups) -> None:
    first: dict[str, int] = {}
    for place, session in enumerate(ordered):
        groups.join(first.setdefault(session.base, place), place)


def _rank(session: Session) -> bytes:
    """Not the content's hash itself, so that no order of hashing shows in what stays."""
    return hashlib.blake2b(session.base.encode("utf-8", "surrogatepass") + session.digest).digest()
