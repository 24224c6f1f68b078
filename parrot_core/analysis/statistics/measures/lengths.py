"""Tokens of queries, answers and sessions."""

from typing import ClassVar

from parrot_core.analysis.statistics.measures.measure import Measure, Ratio
from parrot_core.analysis.statistics.session import Session
from parrot_core.analysis.statistics.tokens import Counter
from parrot_core.analysis.statistics.values import Found


class Lengths(Measure):
    """See ``description``."""

    name: ClassVar[str] = "lengths"
    description: ClassVar[str] = (
        "Tokens of a query, of a follow-up query and of an answer (mean over all of them) and of a "
        "session (mean over sessions), counted with the tokenizer that is named."
    )

    def __init__(self, seed: int, counter: Counter) -> None:
        self._seed = seed
        self._counter = counter
        self._query, self._follow_up, self._answer, self._session = (Ratio() for _ in range(4))

    def read(self, session: Session) -> list[int]:
        """Tokens of its queries, then of its answers."""
        answers = [text for text in session.responses if text]
        return self._counter.counts([*session.queries, *answers])

    def add(self, session: Session, read: list[int]) -> None:
        queries, answered = read[: session.turns], read[session.turns :]
        self._query.add(sum(queries), len(queries))
        self._follow_up.add(sum(queries[1:]), len(queries[1:]))
        self._answer.add(sum(answered), len(answered))
        self._session.add(sum(read))

    def found(self) -> Found:
        seed = self._seed
        return Found(
            figures=(
                self._query.figure("query_tokens", "tokens a query", seed, "queries"),
                self._follow_up.figure(
                    "follow_up_tokens", "tokens a follow-up query", seed, "follow-up queries"
                ),
                self._answer.figure("answer_tokens", "tokens an answer", seed, "answers"),
                self._session.figure("session_tokens", "tokens a session", seed),
            )
        )
