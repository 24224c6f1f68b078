"""Texts as sets of word triples, hashed: what near-duplicates are told by."""

import hashlib
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from parrot_core.engines.types import Message
from parrot_core.filters.similarity import tokens

Hashes: TypeAlias = NDArray[np.uint64]
"""Distinct hashes in ascending order, shape (n,)."""

QUERY_CHARS = 3000
RESPONSE_CHARS = 200
"""Characters read of a message: a query says what a session is about, a response much of itself."""
_CACHED_WORDS = 100_000
_STEPS = np.array([1, 0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F], dtype=np.uint64)


class Shingler:
    """Hashes word triples; it remembers the hashes of words it has met."""

    def __init__(self) -> None:
        self._words = _Words()

    def of_text(self, text: str) -> Hashes:
        """Triples of a text's words (characters in scripts without spaces); case is ignored."""
        return self._triples(tokens(text))

    def of_query(self, text: str) -> Hashes:
        """Triples of the beginning of a query."""
        return self.of_text(text[:QUERY_CHARS])

    def of_session(self, messages: Sequence[Message]) -> Hashes:
        """Triples of all queries and of the beginnings of all responses."""
        words: list[str] = []
        for message in messages:
            most = QUERY_CHARS if message["role"] == "user" else RESPONSE_CHARS
            words += tokens(message["content"][:most])
        return self._triples(words)

    def _triples(self, words: Sequence[str]) -> Hashes:
        if not words:
            return np.empty(0, dtype=np.uint64)
        hashed = np.fromiter(map(self._words.__getitem__, words), np.uint64, len(words))
        if len(self._words) > _CACHED_WORDS:
            self._words.clear()
        if len(hashed) < 3:
            return np.unique(hashed)
        mixed = hashed[:-2] * _STEPS[0] + hashed[1:-1] * _STEPS[1] + hashed[2:] * _STEPS[2]
        return np.unique(mixed)


class _Words(dict[str, int]):
    """Words' hashes; one that is new is hashed when it is asked for."""

    def __missing__(self, word: str) -> int:
        digest = hashlib.blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        value = self[word] = int.from_bytes(digest, "big")
        return value


def jaccard(first: Hashes, second: Hashes) -> float:
    """Size of the intersection over that of the union; 1 for two empty sets."""
    both = np.intersect1d(first, second, assume_unique=True).size
    union = first.size + second.size - both
    return both / union if union else 1.0
