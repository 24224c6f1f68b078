"""Self-ROUGE: how much queries repeat each other, within a session and across sessions."""

from itertools import combinations
from typing import ClassVar

from parrot_core.analysis.statistics.measures.measure import Measure, Ratio
from parrot_core.analysis.statistics.sampling import Draw, lot
from parrot_core.analysis.statistics.session import Session
from parrot_core.analysis.statistics.values import Found
from parrot_core.text.similarity import rouge_l_f1, tokens

QUERY_TOKENS = 512
"""Tokens of a query that are compared: people ask first, then paste."""
ACROSS = 400
"""Queries, one a session, that are compared with each other."""


class SelfRouge(Measure):
    """See ``description``."""

    name: ClassVar[str] = "self-rouge"
    description: ClassVar[str] = (
        "100 × ROUGE-L F1. Within sessions: each query with every earlier one of its session, "
        "averaged over those, over the session's follow-ups, and over sessions. Across sessions: "
        f"{ACROSS} queries drawn from as many sessions, each with the one that it resembles most, "
        "as Self-BLEU does with all others as references. Lower is more diverse."
    )

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._within = Ratio()
        self._drawn: Draw[str] = Draw(ACROSS, seed, "self-rouge")

    def read(self, session: Session) -> float | None:
        """Compare its queries; None where there is but one."""
        queries = [_compared(query) for query in session.queries]
        means = [
            sum(rouge_l_f1(earlier, query) for earlier in queries[:turn]) / turn
            for turn, query in enumerate(queries)
            if turn
        ]
        return 100 * sum(means) / len(means) if means else None

    def add(self, session: Session, read: float | None) -> None:
        if not session.queries:
            return
        place = lot(self._seed, "self-rouge query", session.id) % session.turns
        self._drawn.offer(session.id, session.queries[place][: 16 * QUERY_TOKENS])
        if read is not None:
            self._within.add(read)

    def found(self) -> Found:
        drawn = [_compared(query) for query in self._drawn.items()]
        nearest = [0.0] * len(drawn)
        for one, other in combinations(range(len(drawn)), 2):
            score = rouge_l_f1(drawn[one], drawn[other])
            nearest[one] = max(nearest[one], score)
            nearest[other] = max(nearest[other], score)
        across = Ratio()
        for score in nearest if len(drawn) > 1 else ():
            across.add(100 * score)
        return Found(
            figures=(
                self._within.figure(
                    "self_rouge",
                    "Self-ROUGE within sessions",
                    self._seed,
                    "sessions of two turns or more",
                ),
                across.figure(
                    "self_rouge_across", "Self-ROUGE across sessions", self._seed, "queries"
                ),
            )
        )


def _compared(query: str) -> list[str]:
    return tokens(query[: 16 * QUERY_TOKENS])[:QUERY_TOKENS]
