"""Bounded random samples of a stream, exact in the seed."""

import hashlib
import heapq
from typing import Generic, TypeVar

T = TypeVar("T")


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
