"""A multi-turn benchmark: questions in FastChat's JSONL layout, read from anywhere, validated."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO, cast

import fsspec
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from parrot_core.errors import SourceError
from parrot_core.packaged import is_packaged, packaged_file

_EXPECTED = '{"question_id": …, "category": …, "turns": ["…", …], "reference": ["…" or null, …]}'


class Question(BaseModel):
    """One session of the benchmark: what the user asks, turn by turn.

    Attributes:
        question_id: unique in the file; a number is read as its digits.
        category: such as ``writing`` or ``math``.
        turns: the user's queries, in order.
        reference: an answer to hold each turn's answer against, None where there is none.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    question_id: str = Field(min_length=1)
    category: str = Field(min_length=1)
    turns: tuple[str, ...] = Field(min_length=1)
    reference: tuple[str | None, ...] = ()

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
        if self.reference and len(self.reference) != len(self.turns):
            raise ValueError(
                f"reference has {len(self.reference)} entries for {len(self.turns)} turns"
            )
        return self

    def reference_of(self, turn: int) -> str | None:
        """The reference answer of a turn, counted from 1."""
        return self.reference[turn - 1] if self.reference else None


@dataclass(frozen=True, slots=True)
class Benchmark:
    """Questions, and the SHA-256 of the file that they were read from."""

    questions: tuple[Question, ...]
    sha256: str

    def cut(self, limit: int | None, max_turns: int | None) -> "Benchmark":
        """The first ``limit`` questions with their first ``max_turns`` turns; None is all."""
        kept = tuple(
            question.model_copy(
                update={
                    "turns": question.turns[:max_turns],
                    "reference": question.reference[:max_turns],
                }
            )
            for question in self.questions[:limit]
        )
        return Benchmark(kept, self.sha256)


def load_benchmark(url: str) -> Benchmark:
    """Read and validate a file of questions.

    Args:
        url: a path, an fsspec URL such as ``s3://``, or ``package://PACKAGE/FILE``.

    Raises:
        SourceError: the file is missing or unreadable, or a line isn't a question; names the
            file, the line and what was expected.
    """
    data = _read(url)
    try:
        lines = data.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise SourceError(f"{url}: not UTF-8 at byte {error.start}") from None
    questions: list[Question] = []
    seen: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        question = _parse(line, f"{url}, line {number}")
        first = seen.setdefault(question.question_id, number)
        if first != number:
            raise SourceError(
                f"{url}, line {number}: question_id '{question.question_id}' is that of line "
                f"{first}; expected each only once"
            )
        questions.append(question)
    if not questions:
        raise SourceError(f"{url}: no question in it; expected one a line: {_EXPECTED}")
    return Benchmark(tuple(questions), hashlib.sha256(data).hexdigest())


def _parse(line: str, place: str) -> Question:
    try:
        record = json.loads(line)
    except json.JSONDecodeError as error:
        raise SourceError(f"{place}: not JSON ({error.msg}); expected {_EXPECTED}") from None
    if not isinstance(record, dict):
        raise SourceError(f"{place}: not an object; expected {_EXPECTED}")
    try:
        return Question.model_validate(record)
    except ValidationError as error:
        raise SourceError(f"{place}: {_problems(error)}; expected {_EXPECTED}") from None


def _problems(error: ValidationError) -> str:
    said: Sequence[str] = [
        ": ".join(
            part
            for part in (
                ".".join(str(key) for key in item["loc"]),
                item["msg"].removeprefix("Value error, "),
            )
            if part
        )
        for item in error.errors()[:3]
    ]
    return "; ".join(said)


def _read(url: str) -> bytes:
    try:
        if is_packaged(url):
            return packaged_file(url).read_bytes()
        with fsspec.open(url, "rb") as file:
            return cast(IO[bytes], file).read()
    except FileNotFoundError:
        raise SourceError(f"{url}: no such file; expected questions in JSONL") from None
    except (OSError, ValueError, ImportError) as error:
        raise SourceError(f"{url}: can't be read: {error}") from None
