"""Finds sessions that hold a question of the benchmark."""

from collections.abc import Iterable, Sequence
from math import ceil

import numpy as np
from numpy.typing import NDArray

from parrot_core.engines.types import Message
from parrot_core.stages.ingest.shingles import Hashes, Shingler

MIN_TRIPLES = 8
"""Shorter questions ("Now shorten it.") are everybody's and tell nothing."""
_TABLE_BITS = 20
_TABLE_SHIFT = np.uint64(64 - _TABLE_BITS)


class BenchmarkQuestions:
    """The questions of a benchmark, to hold queries against."""

    def __init__(self, questions: Iterable[str], shingler: Shingler, least: float) -> None:
        """``least`` is the share of a question's word triples that counts as holding it."""
        self._shingler = shingler
        self._least = least
        hashed = ((text, shingler.of_text(text)) for text in questions)
        kept = [(text, own) for text, own in hashed if own.size >= MIN_TRIPLES]
        self._texts = [text for text, _ in kept]
        self._sizes = np.array([own.size for _, own in kept], dtype=np.int64)
        triples = np.concatenate([np.empty(0, np.uint64), *(own for _, own in kept)])
        # Which first bits they have: a look tells of most sessions that they hold too few.
        self._known = np.zeros(1 << _TABLE_BITS, dtype=np.bool_)
        self._known[triples >> _TABLE_SHIFT] = True
        self._fewest = ceil(least * MIN_TRIPLES)
        # All triples of all questions in ascending order, and which question each is of.
        order = np.argsort(triples, kind="stable")
        self._triples: Hashes = triples[order]
        self._owners = np.repeat(np.arange(len(kept)), self._sizes)[order]

    def found_in(self, messages: Sequence[Message], session: Hashes) -> str | None:
        """Which question a query of the session holds, in a few words.

        Args:
            session: its shingles, which tell at once that most sessions hold none.
        """
        if not self._texts or self._known[session >> _TABLE_SHIFT].sum() < self._fewest:
            return None
        if self._shares(session).max() < self._least:
            return None
        for place in range(0, len(messages), 2):
            shares = self._shares(self._shingler.of_query(messages[place]["content"]))
            best = int(shares.argmax())
            if shares[best] >= self._least:
                text = self._texts[best][:80]
                return f"query {place // 2 + 1} holds {shares[best]:.0%} of: {text}"
        return None

    def _shares(self, hashes: Hashes) -> NDArray[np.float64]:
        """Share of each question's triples that are among these, shape (questions,)."""
        first = np.searchsorted(self._triples, hashes, side="left")
        there = first < self._triples.size
        there[there] = self._triples[first[there]] == hashes[there]  # nearly always none
        first = first[there]
        last = np.searchsorted(self._triples, hashes[there], side="right")
        spans = [self._owners[a:b] for a, b in zip(first, last, strict=True)]
        owners = np.concatenate([np.empty(0, self._owners.dtype), *spans])
        return np.bincount(owners, minlength=len(self._texts)) / self._sizes
