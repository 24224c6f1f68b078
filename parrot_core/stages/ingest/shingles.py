"""Texts as sets of word triples, hashed: what near-duplicates are told by."""

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from parrot_core.engines.types import Message
from parrot_core.text.similarity import tokens, tokens_of_each
from parrot_core.text.text_hash import text_hash

if TYPE_CHECKING:  # 23 MB, for nothing where no text is read
    import polars as pl

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
        return self.of_text(text[:QUERY_CHARS])

    def of_session(self, messages: Sequence[Message]) -> Hashes:
        """Triples of all queries and of the beginnings of all responses."""
        return self._triples([word for text in _beginnings(messages) for word in tokens(text)])

    def of_each(self, sessions: Sequence[Sequence[Message]]) -> list[tuple[Hashes, Hashes]]:
        """Of each session :meth:`of_session`, and :meth:`of_query` of its first message.

        Much faster than one by one.
        """
        texts = [_beginnings(messages) for messages in sessions]
        words = tokens_of_each([text for one in texts for text in one])
        ends = np.r_[0, words.list.len().to_numpy().cumsum(dtype=np.int64)].tolist()
        hashed = self._hashed(words.explode().drop_nulls())
        triples = _mixed(hashed)

        def between(start: int, end: int) -> Hashes:
            few = end - start < 3
            return distinct(hashed[start:end] if few else triples[start : end - 2])

        places = np.r_[0, np.cumsum([len(one) for one in texts])].tolist()
        return [
            (between(ends[first], ends[last]), between(ends[first], ends[first + 1]))
            for first, last in pairwise(places)
        ]

    def _triples(self, words: Sequence[str]) -> Hashes:
        hashed = np.fromiter(map(self._words.__getitem__, words), np.uint64, len(words))
        self._forget()
        return distinct(hashed if len(hashed) < 3 else _mixed(hashed))

    def _hashed(self, words: "pl.Series") -> Hashes:
        """The hash of each word; only those that differ are looked up."""
        import polars as pl

        encoded = words.to_arrow(compat_level=pl.CompatLevel.oldest()).dictionary_encode()
        found = map(self._words.__getitem__, encoded.dictionary.to_pylist())
        hashed = np.fromiter(found, np.uint64, len(encoded.dictionary))
        self._forget()
        which: NDArray[np.int32] = encoded.indices.to_numpy()
        return hashed[which]

    def _forget(self) -> None:
        if len(self._words) > _CACHED_WORDS:
            self._words.clear()


def _beginnings(messages: Sequence[Message]) -> list[str]:
    return [
        message["content"][: QUERY_CHARS if message["role"] == "user" else RESPONSE_CHARS]
        for message in messages
    ]


def _mixed(hashed: Hashes) -> Hashes:
    """Hashes of triples: one for each word that two others follow."""
    mixed: Hashes = hashed[:-2] * _STEPS[0] + hashed[1:-1] * _STEPS[1] + hashed[2:] * _STEPS[2]
    return mixed


def distinct(hashes: Hashes) -> Hashes:
    ascending = np.sort(hashes)
    new = np.ones(ascending.size, dtype=np.bool_)
    np.not_equal(ascending[1:], ascending[:-1], out=new[1:])
    return ascending[new]


class _Words(dict[str, int]):
    """Words' hashes; one that is new is hashed when it is asked for."""

    def __missing__(self, word: str) -> int:
        value = self[word] = text_hash(word)
        return value


def jaccard(first: Hashes, second: Hashes) -> float:
    """Size of the intersection over that of the union; 1 for two empty sets."""
    both = np.intersect1d(first, second, assume_unique=True).size
    union = first.size + second.size - both
    return both / union if union else 1.0
