"""Have a model score given answers in a process of its own, so that its memory goes with it."""

import hashlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from parrot_core.engines.types import Message
from parrot_core.errors import ParrotError
from parrot_core.models.references import child_environment, why_it_ended
from parrot_core.telemetry.progress import SILENT, ProgressReporter

Scores = dict[str, list[tuple[float, int]] | None]
"""By id: the sum of log p (nats) and the tokens of each answer; None where they don't fit."""


def per_token(score: tuple[float, int]) -> float:
    """Mean log p of an answer's tokens."""
    return score[0] / max(score[1], 1)


@dataclass(frozen=True, slots=True)
class LikelihoodRequest:
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


def scores_of(
    scorer: Scorer,
    asked: Iterable[LikelihoodRequest],
    max_length: int,
    folder: Path,
    reporter: ProgressReporter = SILENT,
) -> Scores:
    """Score every answer; what the same model was asked before in this folder is read there.

    Args:
        asked: what to score; ids are unique.
        max_length: tokens of prompt and answer; older turns of a prompt go first.
        reporter: is told of each prompt.

    Raises:
        ParrotError: the model couldn't be loaded or run.
    """
    lines = {
        each.id: json.dumps({"id": each.id, "prompt": each.prompt, "answers": each.answers})
        for each in asked
    }
    kept = folder / f"{scorer.label}-{_digest(scorer, max_length, lines.values())}.jsonl"
    found = _whole_lines(kept)
    reporter.step(f"{scorer.label}: scoring", len(lines))
    reporter.progress(len(found))
    if missing := [line for id, line in lines.items() if id not in found]:
        queries = kept.with_suffix(".queries.jsonl")
        queries.write_text("".join(f"{line}\n" for line in missing), encoding="utf-8")
        _score(scorer, queries, kept, max_length, reporter)
        found = _whole_lines(kept)
    return {id: found[id] for id in lines}


def _score(
    scorer: Scorer, queries: Path, scores: Path, max_length: int, reporter: ProgressReporter
) -> None:
    module = "parrot_core.stages.training.answer_likelihood"
    places = [str(scorer.model), str(queries), str(scores)]
    more = [str(scorer.tokenizer)] if scorer.tokenizer else []
    command = [sys.executable, "-m", module, *places, str(max_length), *more]
    # Threads that spin while they wait starve each other beside other work on a CPU.
    environment = {"OMP_WAIT_POLICY": "PASSIVE", **child_environment()}
    with (
        tempfile.TemporaryFile("w+") as said,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=said, text=True, env=environment
        ) as process,
    ):
        assert process.stdout is not None
        try:
            for _ in process.stdout:  # a line a prompt
                reporter.progress(1)
            status = process.wait()
        except BaseException:
            process.kill()
            raise
        if status != 0:
            said.seek(0)
            why = why_it_ended(status, said.read())
            raise ParrotError(f"{scorer.label}: its answers can't be scored: {why}")


def _whole_lines(scores: Path) -> Scores:
    """What has been scored; a last line that a killed process left half-written is cut off."""
    if not scores.exists():
        return {}
    text = scores.read_bytes()
    whole = text[: text.rfind(b"\n") + 1]
    if whole != text:
        scores.write_bytes(whole)
    return {line["id"]: line["scores"] for line in map(json.loads, whole.splitlines())}


def _digest(scorer: Scorer, max_length: int, lines: Iterable[str]) -> str:
    """Changes with the model's files, with the questions and with how they are cut."""
    digest = hashlib.sha256(f"{scorer.model} {scorer.tokenizer} {max_length}".encode())
    for place in (scorer.model, scorer.tokenizer):
        for file in sorted(Path(place).glob("*")) if place else ():
            found = file.stat()
            digest.update(f"{file.name} {found.st_size} {found.st_mtime_ns}".encode())
    for line in lines:
        digest.update(line.encode())
    return digest.hexdigest()[:12]
