"""Scores of the same questions in two runs: the mean difference, paired answer by answer."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from parrot_core.lake.lake import DatasetVersion
from parrot_core.stages.evaluation.summary import (
    Judged,
    SubjectSummary,
    first_holding,
    summarise,
)

_COLUMNS = ("subject", "source_ids", "category", "turn", "repeat", "query", "score", "judge_model")

Answers = Mapping[tuple[str, str, int], "ScoredAnswer"]
"""Scored answers by subject, question and turn."""


@dataclass(frozen=True, slots=True)
class ScoredAnswer:
    """What a judge gave one answer, and what had been asked."""

    category: str
    query: str
    score: float
    judge: str


@dataclass(frozen=True, slots=True)
class PairedScores:
    """Differences B − A of one subject over the turns that both runs asked and scored.

    ``unpaired`` are the scored answers that the other run has no score for, in A and in B: it
    asked something else, or its judge's verdict could not be read.
    """

    difference: SubjectSummary
    unpaired: tuple[int, int]


def scored_answers(version: DatasetVersion) -> Answers:
    """Every scored answer of a version of ``judgments``; of repeated sessions the first's."""
    return {
        (row["subject"], row["source_ids"][0], row["turn"]): ScoredAnswer(
            row["category"], row["query"], row["score"], str(row["judge_model"] or "")
        )
        for row in version.rows(_COLUMNS)
        if row["score"] is not None and first_holding(row)
    }


def paired_scores(a: Answers, b: Answers, seed: int) -> dict[str, PairedScores]:
    """Compare the subjects that both runs have, in A's order.

    An answer is paired with the other run's answer to the same question, word for word. The
    intervals are percentile bootstraps over whole sessions of the paired differences (see
    ``summary``), so that what makes a question hard for both runs cancels out.
    """
    found: dict[str, PairedScores] = {}
    for subject in dict.fromkeys(key[0] for key in a):
        of_a, of_b = _of(a, subject), _of(b, subject)
        keys = [key for key in of_a if key in of_b and of_a[key].query == of_b[key].query]
        if not keys:
            continue
        differences = [
            Judged(*key[:2], of_a[key].category, key[2], of_b[key].score - of_a[key].score)
            for key in keys
        ]
        unpaired = (len(of_a) - len(keys), len(of_b) - len(keys))
        found[subject] = PairedScores(summarise(differences, seed)[0], unpaired)
    return found


def judges_of(answers: Iterable[ScoredAnswer]) -> tuple[str, ...]:
    return tuple(sorted({answer.judge for answer in answers}))


def _of(answers: Answers, subject: str) -> Answers:
    return {key: answer for key, answer in answers.items() if key[0] == subject}
