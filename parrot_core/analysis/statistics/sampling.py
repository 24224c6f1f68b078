"""Bounded samples and bootstrap intervals, both exact in the seed."""

import hashlib
import heapq
from collections.abc import Sequence
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

T = TypeVar("T")

RESAMPLES = 500
"""Bootstrap resamples; the interval's ends are their 2.5 and 97.5 percentiles."""

Floats = npt.NDArray[np.float64]


def lot(seed: int, purpose: str, key: str) -> int:
    """A number drawn for a key: the same whatever else is drawn, and in whatever order."""
    text = f"{seed}/{purpose}/{key}".encode(errors="surrogatepass")
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")


class Draw(Generic[T]):
    """Keeps a random sample of a stream: the items with the lowest lots, at most ``limit``."""

    def __init__(self, limit: int, seed: int, purpose: str) -> None:
        """``purpose`` keeps two samples of one stream apart."""
        self._limit = limit
        self._seed = seed
        self._purpose = purpose
        self._kept: list[tuple[int, int, T]] = []  # a heap: the highest lot is on top
        self._offered = 0

    def offer(self, key: str, item: T) -> None:
        """Keep the item if its lot is among the lowest so far."""
        self._offered += 1
        entry = (-lot(self._seed, self._purpose, key), -self._offered, item)
        if len(self._kept) < self._limit:
            heapq.heappush(self._kept, entry)
        elif entry > self._kept[0]:
            heapq.heapreplace(self._kept, entry)

    def items(self) -> list[T]:
        """The sample, in the order of its lots."""
        return [item for _, _, item in sorted(self._kept, key=lambda e: (-e[0], -e[1]))]


def ratio(
    numerators: Sequence[float], denominators: Sequence[float], seed: int
) -> tuple[float | None, float | None, float | None]:
    """Sum over sum with its 95 % bootstrap interval, resampled over the pairs.

    With denominators of 1 it is a mean over sessions; with queries a session as denominators, a
    mean over queries whose interval heeds that queries of a session resemble each other.

    Returns:
        (value, low, high); all None without data, and no interval for a single pair.
    """
    above = np.asarray(numerators, dtype=np.float64)
    below = np.asarray(denominators, dtype=np.float64)
    if below.sum() == 0:
        return None, None, None
    value = float(above.sum() / below.sum())
    if len(above) < 2:
        return value, None, None
    means = _resampled(above, below, np.random.default_rng(seed))
    low, high = np.nanpercentile(means, [2.5, 97.5])
    return value, float(low), float(high)


Ratio = tuple[Sequence[float], Sequence[float]]
"""Numerators and denominators, one of each a session."""


def ratio_difference(
    one: Ratio, other: Ratio, seed: int
) -> tuple[float | None, float | None, float | None]:
    """A ratio less another over the same sessions, with its paired 95 % bootstrap interval.

    A resample draws the same sessions for both, so that what makes a session hard for both
    cancels out.

    Returns:
        As :func:`ratio`; all None where one of them has no data.
    """
    sides = [[np.asarray(part, dtype=np.float64) for part in side] for side in (one, other)]
    if any(below.sum() == 0 for _, below in sides):
        return None, None, None
    value = float(np.subtract(*(above.sum() / below.sum() for above, below in sides)))
    if len(one[0]) < 2:
        return value, None, None
    drawn = [_resampled(above, below, np.random.default_rng(seed)) for above, below in sides]
    low, high = np.nanpercentile(np.subtract(*drawn), [2.5, 97.5])
    return value, float(low), float(high)


def _resampled(above: Floats, below: Floats, rng: np.random.Generator) -> Floats:
    """The ratio of each resample; not a number where its denominators sum to nothing."""
    count = len(above)
    found: Floats = np.empty(RESAMPLES)
    for place in range(RESAMPLES):
        taken = rng.integers(0, count, count)
        total = below[taken].sum()
        found[place] = above[taken].sum() / total if total else np.nan
    return found
