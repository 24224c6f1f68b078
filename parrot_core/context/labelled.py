"""Queries with their history, written and labelled for the project: do they depend on it?

``labelled.jsonl`` holds one query a line. Detectors are made with the half ``dev`` alone and
measured on the half ``test``, on which an LLM judge proves itself too. The guideline is in
docs/explanation/context-dependence.md.
"""

import json
from dataclasses import dataclass
from importlib.resources import files
from typing import Literal

from parrot_core.engines.types import Message

Half = Literal["dev", "test"]


@dataclass(frozen=True, slots=True)
class LabelledQuery:
    """One query of the set.

    Attributes:
        id: its conversation's number and its own.
        half: ``dev``, which rules may be tuned on, or ``test``.
        language: ``en`` or ``zh``.
        depends: the label.
        kind: of a dependent query the kind of its cue, or ``implicit`` where it shows none; of a
            self-contained one the kind that it could be taken for, or ``none``.
        query: the user's text.
        history: the messages before it.
    """

    id: str
    half: Half
    language: str
    depends: bool
    kind: str
    query: str
    history: tuple[Message, ...]


def labelled_queries(half: Half) -> tuple[LabelledQuery, ...]:
    """Read one half of the set, in file order."""
    text = files("parrot_core.context").joinpath("labelled.jsonl").read_text(encoding="utf-8")
    records = (json.loads(line) for line in text.splitlines())
    return tuple(
        LabelledQuery(**{**record, "history": tuple(record["history"])})
        for record in records
        if record["half"] == half
    )
