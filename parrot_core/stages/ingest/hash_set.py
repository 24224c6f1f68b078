"""A compact set of 64-bit hashes, about ten bytes each, for every record of a huge file.

Python's own set takes some 100. Two texts of one hash are taken for the same: among ten million
that happens to any at all with a probability of 3 in a million.
"""

import numpy as np
from numpy.typing import NDArray

_AT_ONCE = 1 << 16


class HashSet:
    """What was added lately is in a set of Python's, the rest in sorted arrays.

    Arrays are merged as soon as the last is no longer than half the one before (as in a
    log-structured merge tree), so there are few of them and each hash is merged few times.
    """

    def __init__(self, at_once: int = _AT_ONCE) -> None:
        """``at_once``: how many to gather before they are sorted."""
        self._at_once = at_once
        self._lately: set[int] = set()
        self._sorted: list[NDArray[np.uint64]] = []

    def __contains__(self, hashed: int) -> bool:
        return hashed in self._lately or any(_holds(part, hashed) for part in self._sorted)

    def add(self, hashed: int) -> bool:
        """Add a hash, from 0 to 2^64 - 1; False if it is there already."""
        if hashed in self:
            return False
        self._lately.add(hashed)
        if len(self._lately) >= self._at_once:
            self._settle()
        return True

    def _settle(self) -> None:
        part = np.fromiter(self._lately, np.uint64, len(self._lately))
        part.sort()
        self._lately = set()
        while self._sorted and part.size * 2 > self._sorted[-1].size:
            part = np.concatenate([self._sorted.pop(), part])
            part.sort(kind="stable")  # a radix or merge sort, quick on two sorted runs
        self._sorted.append(part)


def _holds(part: NDArray[np.uint64], hashed: int) -> bool:
    wanted = np.uint64(hashed)
    place = int(part.searchsorted(wanted))
    return place < part.size and bool(part[place] == wanted)
