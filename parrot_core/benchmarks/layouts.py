"""Benchmarks in their own layouts: a record of MT-Bench-101 or MT-Eval as a question's fields.

FastChat's records are a question's fields already.
"""

import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

MT_EVAL = "MT-Eval"
"""Category of its records that name none."""
WITH_REFERENCES = ("GR", "MR")
"""Tasks of MT-Bench-101 with one right answer, whose judge is shown it (Bai et al. 2024, §3.3)."""
_TASK = re.compile(r"\d+_([A-Za-z][\w-]*?)_\d+")  # of `<document>_<task>_<turn>`


class _Read(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class _MtBench101Turn(_Read):
    user: str
    bot: str | None = None


class _MtBench101(_Read):
    task: str
    id: str | int
    history: tuple[_MtBench101Turn, ...]


class _MtEvalTurn(_Read):
    user: str
    sys: str | None = None
    id: str | int = ""
    do_inference: bool = True


class _MtEval(_Read):
    conv: tuple[_MtEvalTurn, ...]
    id: str | int | None = None
    category: str | None = None
    inst_name: str | None = None


def question_fields(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """The fields of a question, whichever layout a record is in.

    Raises:
        ValidationError: it has the key of a layout, and not its shape.
    """
    if "turns" in record:
        return record
    if "history" in record:
        return _of_mt_bench_101(_MtBench101.model_validate(record))
    if "conv" in record or "conversation" in record:
        named = {"conv": record.get("conversation"), "id": record.get("question_id")}
        return _of_mt_eval(_MtEval.model_validate({**named, **record}))
    return record


def _of_mt_bench_101(record: _MtBench101) -> dict[str, Any]:
    given = [turn.bot for turn in record.history]
    return {
        "question_id": record.id,
        "category": record.task,
        "turns": [turn.user for turn in record.history],
        "given": given,
        "reference": given if record.task in WITH_REFERENCES else None,
    }


def _of_mt_eval(record: _MtEval) -> dict[str, Any]:
    first = str(record.conv[0].id) if record.conv else ""
    task = _TASK.fullmatch(first)
    return {
        "question_id": record.id if record.id is not None else first,
        "category": record.category or record.inst_name or (task[1] if task else MT_EVAL),
        "turns": [turn.user for turn in record.conv],
        "given": [turn.sys or None for turn in record.conv],
        "turn_ids": [str(turn.id) for turn in record.conv],
        "asked": [turn.do_inference for turn in record.conv],
    }
