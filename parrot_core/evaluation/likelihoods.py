"""Have a model score given answers in a process of its own, so that its memory goes with it."""

import json
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from parrot_core.engines.types import Message
from parrot_core.errors import ParrotError
from parrot_core.training.models import child_environment

Scores = dict[str, list[tuple[float, int]] | None]
"""By id: the sum of log p (nats) and the tokens of each answer; None where they don't fit."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Answers to be scored after one prompt."""

    id: str
    prompt: Sequence[Message]
    answers: Sequence[Sequence[Message]]


@dataclass(frozen=True, slots=True)
class Scorer:
    """A model to score with; ``tokenizer`` is a folder whose tokenizer replaces the model's own."""

    label: str  # as a person names it; also of its files
    model: Path | str
    tokenizer: Path | None = None


def scores_of(scorer: Scorer, asked: Iterable[Asked], max_length: int, folder: Path) -> Scores:
    """Score every answer.

    Args:
        scorer: the model.
        asked: what to score; ids are unique.
        max_length: tokens of prompt and answer; older turns of a prompt go first.
        folder: scratch for the questions and the scores.

    Raises:
        ParrotError: the model couldn't be loaded or run.
    """
    questions = folder / f"{scorer.label}-queries.jsonl"
    found = folder / f"{scorer.label}-scores.jsonl"
    with questions.open("w", encoding="utf-8") as file:
        for each in asked:
            line = {"id": each.id, "prompt": each.prompt, "answers": each.answers}
            file.write(json.dumps(line) + "\n")
    module = "parrot_core.evaluation.answer_likelihood"
    places = [str(scorer.model), str(questions), str(found)]
    more = [str(scorer.tokenizer)] if scorer.tokenizer else []
    done = subprocess.run(
        [sys.executable, "-m", module, *places, str(max_length), *more],
        capture_output=True,
        text=True,
        env=child_environment(),
    )
    if done.returncode != 0:
        said = [line for line in done.stderr.splitlines() if line.strip()]
        why = f"its process ended with status {done.returncode}"
        if said and done.returncode > 0:  # one that was killed has said nothing of it
            why = said[-1]
        raise ParrotError(f"{scorer.label}: its answers can't be scored: {why}")
    lines = map(json.loads, found.read_text(encoding="utf-8").splitlines())
    return {line["id"]: line["scores"] for line in lines}
