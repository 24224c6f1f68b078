"""Finds texts that are nearly the same among many: MinHash bands, every candidate verified.

A text is held as 20 hashes of 8 bytes, one for each band of 6 MinHash values (Broder 1997): two
texts with Jaccard similarity s share a band with probability 1 - (1 - s^6)^20, which is 0.998 at
0.8. Those that do are compared for real. What is found depends on the texts and their order
alone, and the order is the caller's.
"""

from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from parrot_core.stages.ingest.shingles import Hashes, jaccard

BANDS = 20
ROWS = 6
_SEED = 1
_MOST_COMPARED = 16
_MIX = np.array([0x9E3779B97F4A7C15 * (2 * i + 1) % 2**64 for i in range(ROWS)], dtype=np.uint64)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two texts that are nearly the same, by their positions; ``first`` comes first in rank."""

    first: int
    second: int
    similarity: float


def signatures(texts: Sequence[Hashes]) -> NDArray[np.uint64]:
    """The bands of texts, each of at least one shingle; shape (texts, BANDS)."""
    if not texts:
        return np.empty((0, BANDS), dtype=np.uint64)
    from rensa import RMinHash

    ends = np.r_[0, np.cumsum([shingles.size for shingles in texts])].astype(np.uint64)
    matrix = RMinHash.digest_matrix_from_flat_token_hashes(
        np.concatenate(texts), ends, BANDS * ROWS, _SEED
    )
    values = np.asarray(matrix.to_rows(), dtype=np.uint64).reshape(-1, BANDS, ROWS)
    bands: NDArray[np.uint64] = (values * _MIX).sum(axis=2, dtype=np.uint64)
    return bands


def similar_pairs(
    alike: Iterable[Sequence[int]],
    shingles_of: Callable[[int], Hashes],
    least: float,
    ranks: Sequence[int],
) -> list[Pair]:
    """Pairs of texts at least so similar, each text with the first ones that it is like.

    Args:
        alike: positions that share a band, the first in rank first; some come several times.
        ranks: of the text at each position; what comes first is preferred.
    """
    shingles_of = lru_cache(2 * _MOST_COMPARED)(shingles_of)
    compared: dict[tuple[int, int], float] = {}
    for members in alike:
        apart: list[int] = []
        for member in members:
            for other in apart:
                if (other, member) not in compared:
                    near = jaccard(shingles_of(other), shingles_of(member))
                    compared[other, member] = near
                if compared[other, member] >= least:
                    break
            else:
                if len(apart) < _MOST_COMPARED:
                    apart.append(member)
    found = (Pair(*key, value) for key, value in compared.items() if value >= least)
    return sorted(found, key=lambda pair: (ranks[pair.second], ranks[pair.first]))


class Groups:
    """Disjoint sets of positions (union-find); a set goes by the first of its members."""

    def __init__(self, ranks: Sequence[int]) -> None:
        """``ranks`` says of each position which of a set comes first."""
        self._ranks = ranks
        self._above = array("I", range(len(ranks)))

    def root(self, position: int) -> int:
        above = self._above
        while above[position] != position:
            above[position] = above[above[position]]
            position = above[position]
        return position

    def join(self, first: int, second: int) -> None:
        """Make the sets of two positions one."""
        one, other = self.root(first), self.root(second)
        if self._ranks[one] < self._ranks[other]:
            self._above[other] = one
        else:
            self._above[one] = other

    def sizes(self) -> NDArray[np.uint32]:
        """How many positions are in the set that goes by each: 0 but for the first of sets."""
        counts = array("I", bytes(len(self._above) * self._above.itemsize))
        for position in range(len(counts)):
            counts[self.root(position)] += 1
        return np.frombuffer(counts, np.uint32)


def repeats(pairs: Sequence[Pair]) -> dict[int, Pair]:
    """The positions to give up so that no two that stay make a pair, each with its pair."""
    given_up: dict[int, Pair] = {}
    for pair in pairs:  # by the second's rank, so that what comes first is settled first
        if pair.first not in given_up:
            given_up.setdefault(pair.second, pair)
    return given_up
