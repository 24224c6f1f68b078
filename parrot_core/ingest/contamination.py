"""Finds sessions that hold a question of the benchmark."""

from collections.abc import Iterable, Sequence

import numpy as np

from parrot_core.engines.types import Message
from parrot_core.ingest.shingles import Hashes, Shingler

MIN_TRIPLES = 8
"""Shorter questions ("Now shorten it.") are everybody's and tell nothing."""


class Benchmark:
    """The questions of a benchmark, to hold queries against."""

    def __init__(self, questions: Iterable[str], shingler: Shingler, least: float) -> None:
        """``least`` is the share of a question's word triples that counts as holding it."""
        self._shingler = shingler
        self._least = least
        hashed = ((text, shingler.of_text(text)) for text in questions)
        self._questions = [(text, own) for text, own in hashed if own.size >= MIN_TRIPLES]
        every = [own for _, own in self._questions]
        self._every: Hashes = np.unique(np.concatenate(every)) if every else np.empty(0, np.uint64)

    def found_in(self, messages: Sequence[Message], session: Hashes) -> str | None:
        """Which question a query of the session holds, in a few words.

        Args:
            messages: the session.
            session: its shingles, which tell at once that most sessions hold none.
        """
        if self._shared(session).size < self._least * MIN_TRIPLES:
            return None
        for place in range(0, len(messages), 2):
            shared = self._shared(self._shingler.of_query(messages[place]["content"]))
            if shared.size < self._least * MIN_TRIPLES:
                continue
            for text, own in self._questions:
                share = np.isin(own, shared, assume_unique=True).sum() / own.size
                if share >= self._least:
                    return f"query {place // 2 + 1} holds {share:.0%} of: {text[:80]}"
        return None

    def _shared(self, hashes: Hashes) -> Hashes:
        return np.intersect1d(hashes, self._every, assume_unique=True)
