"""Reference answers of a benchmark, in FastChat's layout: ``reference_answer/MODEL.jsonl``."""

from collections.abc import Mapping
from dataclasses import dataclass

import fsspec
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from parrot_core.benchmarks.jsonl_file import problems, read_file, records
from parrot_core.errors import SourceError
from parrot_core.lake.packaged_files import is_packaged, packaged_file

FOLDER = "reference_answer"
_EXPECTED = '{"question_id": …, "choices": [{"index": 0, "turns": ["…", …]}]}'


class _ReferenceChoice(BaseModel):
    model_config = ConfigDict(extra="ignore")

    turns: tuple[str | None, ...] = Field(min_length=1)


class _Answer(BaseModel):
    model_config = ConfigDict(extra="ignore")

    question_id: str | int
    choices: tuple[_ReferenceChoice, ...] = Field(min_length=1)


@dataclass(frozen=True, slots=True)
class References:
    """The file's bytes, and by question id an answer or None for each turn of the question."""

    data: bytes
    answers: Mapping[str, tuple[str | None, ...]]


def references_beside(questions: str) -> str | None:
    """The one file in the folder ``reference_answer`` beside a file of questions, if any.

    Raises:
        SourceError: the folder has several, so that somebody has to choose, or can't be listed.
    """
    place = str(packaged_file(questions)) if is_packaged(questions) else questions
    files, path = fsspec.core.url_to_fs(place)
    folder = f"{path.rpartition('/')[0] or '.'}/{FOLDER}"
    try:
        found = sorted(str(name) for name in files.ls(folder, detail=False))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise SourceError(
            f"{folder}: can't be listed ({error}); name the reference answers in "
            "evaluate.references"
        ) from None
    names = [name for name in found if name.endswith(".jsonl")]
    if len(names) > 1:
        listed = ", ".join(name.rpartition("/")[2] for name in names)
        raise SourceError(
            f"{questions}: {len(names)} files of reference answers beside it ({listed}); "
            "name one in evaluate.references"
        )
    return str(files.unstrip_protocol(names[0])) if names else None


def load_references(url: str, turns: Mapping[str, int]) -> References:
    """Read a file of reference answers; of several choices the first is taken, as FastChat does.

    Answers to other questions are passed over, so that a part of a benchmark may be asked with
    the whole of its references. Questions with more turns than their answers have none for the
    further turns (MT-Bench++ asks eight, and MT-Bench's own references answer two).

    Args:
        url: a path, an fsspec URL such as ``s3://``, or ``package://PACKAGE/FILE``.

    Raises:
        SourceError: the file is missing or unreadable, a line is wrong, or it answers none of
            the questions.
    """
    data = read_file(url, "reference answers")
    answers: dict[str, tuple[str | None, ...]] = {}
    for number, record in records(data, url, _EXPECTED):
        place = f"{url}, line {number}"
        try:
            answer = _Answer.model_validate(record)
        except ValidationError as error:
            raise SourceError(f"{place}: {problems(error)}; expected {_EXPECTED}") from None
        question_id, given = str(answer.question_id), answer.choices[0].turns
        if question_id not in turns:
            continue
        if question_id in answers:
            raise SourceError(
                f"{place}: question_id '{question_id}' has come before; expected each only once"
            )
        if len(given) > turns[question_id]:
            raise SourceError(
                f"{place}: {len(given)} turns; expected at most the {turns[question_id]} of "
                f"question '{question_id}'"
            )
        answers[question_id] = given + (None,) * (turns[question_id] - len(given))
    if not answers:
        raise SourceError(f"{url}: no answer to any of the questions; expected their references")
    return References(data, answers)
