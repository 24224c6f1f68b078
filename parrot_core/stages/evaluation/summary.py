"""What the judgments come to: mean scores with their uncertainty, by subject, turn, category."""

import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import TypeAdapter
from pydantic_core import to_jsonable_python

from parrot_core.estimates import ratio
from parrot_core.stages.base import Row

RESAMPLES = 2000


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean score of ``n`` answers with a 95 % interval; no interval below two sessions."""

    mean: float
    n: int
    sessions: int
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class SubjectSummary:
    """The scores of one subject.

    Attributes:
        overall: of what has a score; likewise by turn and by category.
        missing: answers without a score: not given, or not readably judged.
        with_missing: the mean in which each of those counts as the lowest score; None where none
            is missing.
    """

    subject: str
    overall: Estimate
    by_turn: dict[int, Estimate]
    by_category: dict[str, Estimate]
    missing: int = 0
    with_missing: float | None = None

    def to_json(self) -> dict[str, Any]:
        """As a JSON object; turns become text keys."""
        return dict(to_jsonable_python(self))

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "SubjectSummary":
        return TypeAdapter(cls).validate_python(data)

    @property
    def shown_mean(self) -> str:
        """The mean, and beside it what is missing and what the mean would be with it."""
        mean = f"{self.overall.mean:.2f}"
        if not self.missing:
            return mean
        return f"{mean} ({self.with_missing:.2f} with {self.missing:,} unscored as the lowest)"


@dataclass(frozen=True, slots=True)
class Judged:
    """One scored answer; ``session`` is the question's id, the unit of resampling."""

    subject: str
    session: str
    category: str
    turn: int
    score: float
    repeat: int = 1

    @classmethod
    def from_row(cls, row: Row) -> "Judged":
        """Read a row of ``judgments``."""
        return cls(row["subject"], row["source_ids"][0], row["category"], row["turn"], row["score"])


def first_holding(row: Row) -> bool:
    """Whether a row of ``judgments`` is of the first time that its session was held."""
    return row.get("repeat") in (None, 1)


def summarise(
    judged: Iterable[Judged], seed: int, unscored: Iterable[Judged] = ()
) -> list[SubjectSummary]:
    """Average the scores of each subject, in the order in which subjects first appear.

    A subject whose answers all lack a score has no mean; its judgments are all rejected.

    The interval is a percentile bootstrap over whole sessions, since turns of one session share
    their fate: 2,000 resamples, seeded by ``seed`` and the group's name, so that neither order
    nor other groups change it.
    """
    subjects: dict[str, list[Judged]] = {}
    for answer in judged:
        subjects.setdefault(answer.subject, []).append(answer)
    missing: dict[str, list[Judged]] = {}
    for answer in unscored:
        missing.setdefault(answer.subject, []).append(answer)
    return [
        SubjectSummary(
            subject=name,
            overall=estimate(answers, seed, name),
            by_turn=_grouped(answers, lambda answer: answer.turn, seed, name),
            by_category=_grouped(answers, lambda answer: answer.category, seed, name),
            missing=len(missing.get(name, ())),
            with_missing=_mean_of([*answers, *missing[name]]) if name in missing else None,
        )
        for name, answers in subjects.items()
    ]


def _mean_of(answers: Sequence[Judged]) -> float:
    return sum(answer.score for answer in answers) / len(answers)


K = TypeVar("K", int, str)


def _grouped(
    answers: Sequence[Judged], key: Callable[[Judged], K], seed: int, name: str
) -> dict[K, Estimate]:
    groups: dict[K, list[Judged]] = {}
    for answer in answers:
        groups.setdefault(key(answer), []).append(answer)
    return {group: estimate(groups[group], seed, f"{name}/{group}") for group in sorted(groups)}


def estimate(answers: Sequence[Judged], seed: int, name: str) -> Estimate:
    """A mean with its interval; ``name`` keeps the draws of two groups apart."""
    sums: dict[str, float] = {}
    counts: dict[str, int] = {}
    for answer in sorted(answers, key=lambda answer: (answer.session, answer.turn)):
        sums[answer.session] = sums.get(answer.session, 0.0) + answer.score
        counts[answer.session] = counts.get(answer.session, 0) + 1
    part = (list(sums.values()), list(counts.values()))
    found = ratio(part, [seed, zlib.crc32(name.encode())], RESAMPLES)
    mean = sum(sums.values()) / len(answers)
    return Estimate(mean, len(answers), len(sums), found.low, found.high)
