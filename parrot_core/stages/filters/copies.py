"""In how many sessions almost the same query was asked, over a whole version, in bounded memory.

Signatures are MinHashes of word pairs (Broder 1997), 256 bytes a query, in a file. One band of
them is sorted at a time, so that memory is some tens of bytes a query, however many there are.
The result depends on the queries and their order alone.
"""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryFile
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from parrot_core.text.similarity import tokens

LEAST_TOKENS = 12
"""Shorter queries are common property: "can you give me an example?"."""

_VALUES = 64
_ROWS = 4  # values a band: at similarity 0.85 one of the 16 bands agrees with p > 0.9999
_LEAST_ALIKE = 0.85
_LEADERS = 16
_BATCH = 1024
_SEED = 1
_READ_CHARS = 2000


class QueryCopies:
    """Collects the follow-up queries of sessions, in order, then counts copies.

    Args:
        folder: a local folder for the signatures, in a file that ends with the process.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = TemporaryFile(dir=folder)  # noqa: SIM115 - closed on leaving the context
        self._waiting: list[list[str]] = []
        self._sessions: list[int] = []

    def __enter__(self) -> "QueryCopies":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def add(self, session: int, query: str) -> bool:
        """Take in a query; whether it is long enough to count, and so is in :meth:`counts`."""
        words = tokens(query[:_READ_CHARS])
        if len(words) < LEAST_TOKENS:
            return False
        self._waiting.append([f"{one} {two}" for one, two in pairwise(words)])
        self._sessions.append(session)
        if len(self._waiting) >= _BATCH:
            self._sign()
        return True

    def counts(self) -> NDArray[np.int64]:
        """For each query that counts: sessions before its own with almost the same. Shape (n,)."""
        self._sign()
        self._file.flush()
        size = len(self._sessions)
        if not size:
            return np.zeros(0, dtype=np.int64)
        signatures = np.memmap(self._file, dtype=np.uint32, mode="r", shape=(size, _VALUES))
        leaders = np.arange(size)
        for start in range(0, _VALUES, _ROWS):
            band = np.ascontiguousarray(signatures[:, start : start + _ROWS])
            for members in _alike(band.view(np.void(b"\0" * 4 * _ROWS).dtype).ravel()):
                _follow(members, signatures, leaders)
        return self._earlier_sessions(leaders)

    def _earlier_sessions(self, leaders: NDArray[np.int64]) -> NDArray[np.int64]:
        counts = np.zeros(len(leaders), dtype=np.int64)
        seen: dict[int, tuple[int, int]] = {}  # leader: sessions so far, the last of them
        for place, session in enumerate(self._sessions):
            leader = _root(leaders, place)
            sessions, last = seen.get(leader, (0, -1))
            counts[place] = sessions - (last == session)
            if last != session:
                seen[leader] = sessions + 1, session
        return counts

    def _sign(self) -> None:
        if not self._waiting:
            return
        from rensa import RMinHash

        matrix = RMinHash.digest_matrix_from_token_sets(self._waiting, _VALUES, _SEED)
        self._file.write(np.asarray(matrix.to_rows(), dtype=np.uint32).tobytes())
        self._waiting = []


def _alike(keys: NDArray[np.void]) -> Iterator[NDArray[np.int64]]:
    """Positions that share a key, ascending, for each key that is there more than once."""
    _, inverse, sizes = np.unique(keys, return_inverse=True, return_counts=True)
    order = np.argsort(inverse, kind="stable")
    start = 0
    for size in sizes.tolist():
        if size > 1:
            yield order[start : start + size]
        start += size


def _follow(
    members: NDArray[np.int64], signatures: NDArray[np.uint32], leaders: NDArray[np.int64]
) -> None:
    """Let each member follow the first one that it is like."""
    apart: list[int] = []
    for member in members.tolist():
        own = signatures[member]
        for leader in apart:
            if float(np.mean(signatures[leader] == own)) >= _LEAST_ALIKE:
                first, second = sorted((_root(leaders, leader), _root(leaders, member)))
                leaders[second] = first
                break
        else:
            if len(apart) < _LEADERS:
                apart.append(member)


def _root(leaders: NDArray[np.int64], place: int) -> int:
    while leaders[place] != place:
        leaders[place] = leaders[leaders[place]]
        place = int(leaders[place])
    return place
