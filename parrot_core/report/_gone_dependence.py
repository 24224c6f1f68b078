"""Which later queries of a benchmark the rules find to depend on their context."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from parrot_core.benchmarks.benchmark import Question
from parrot_core.context import Dependence, detect
from parrot_core.engines.types import Message


@dataclass(frozen=True, slots=True)
class LaterQuery:
    """A query of turn 2 or later with what the rules say about it.

    Attributes:
        question: its session.
        turn: its turn, from 2.
        found: the verdict.
    """

    question: Question
    turn: int
    found: Dependence


def later_queries(questions: Iterable[Question]) -> Iterator[LaterQuery]:
    """Ask the rules about every query after the first of each session.

    The history is what is known without asking a model: the queries before, each answered by its
    reference, or by nothing where there is none.
    """
    for question in questions:
        history: list[Message] = []
        for turn, query in enumerate(question.turns, 1):
            if turn > 1:
                yield LaterQuery(question, turn, detect(query, history, question.language))
            history.append({"role": "user", "content": query})
            answer = question.reference_of(turn) or ""
            history.append({"role": "assistant", "content": answer})
