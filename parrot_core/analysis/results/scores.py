"""The judge's scores as the report shows them, and how much they can mean."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from parrot_core.judging.grading import LOWEST
from parrot_core.lake.lake import DatasetVersion
from parrot_core.monitor.state import RunHeader
from parrot_core.stages.evaluation.summary import Judged, SubjectSummary, summarise

SMALL_JUDGE = 10e9
"""Parameters below which a judge's scores are called weak; the paper's judge is GPT-4."""

_COLUMNS = ("subject", "source_ids", "category", "turn", "score", "judge_model")

_SIZE = re.compile(r"(?<![\w.])(\d+(?:\.\d+)?)([MB])(?![A-Za-z])", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class BySubject:
    """Figures of several subjects."""

    subjects: tuple[SubjectSummary, ...]

    @property
    def turns(self) -> tuple[int, ...]:
        return tuple(sorted({turn for subject in self.subjects for turn in subject.by_turn}))

    @property
    def categories(self) -> tuple[str, ...]:
        return tuple(sorted({name for subject in self.subjects for name in subject.by_category}))


@dataclass(frozen=True, slots=True)
class Scores(BySubject):
    """All subjects, in the recipe's order; ``note`` says what to think of the judge."""

    judge: str
    note: str


def read_scores(version: DatasetVersion, header: RunHeader) -> Scores | None:
    """Average the judgments by subject, turn and category; None when there are none."""
    rows = [row for row in version.rows(_COLUMNS) if row["score"] is not None]
    if not rows:
        return None
    asked = (header.recipe.get("evaluate") or {}).get("subjects") or {}
    order = {name: place for place, name in enumerate(asked)}
    subjects = summarise(map(Judged.from_row, rows), header.seed, _unscored(version))
    subjects.sort(key=lambda subject: (order.get(subject.subject, len(order)), subject.subject))
    judge = ", ".join(sorted({str(row["judge_model"]) for row in rows if row["judge_model"]}))
    return Scores(tuple(subjects), judge, judge_note(judge, same_model(header)))


def _unscored(version: DatasetVersion) -> Iterator[Judged]:
    """Answers that weren't given or couldn't be judged, as if they had the lowest score."""
    for reject in version.rejects():
        asked = json.loads(reject["original"])
        if {"subject", "category", "turn"} <= asked.keys():
            session = reject["source_ids"][0]
            yield Judged(asked["subject"], session, asked["category"], asked["turn"], LOWEST)


def judge_note(judge: str, judges_itself: tuple[str, ...] = ()) -> str:
    """One honest line on the judge, from the size in its name; empty when nothing is to be said.

    Args:
        judges_itself: subjects that run on the judge's own model.
    """
    said = []
    size = parameters(judge)
    if size is not None and size < SMALL_JUDGE:
        unit = f"{size / 1e9:g} billion" if size >= 1e9 else f"{size / 1e6:g} million"
        said.append(
            f"The judge is {short_model(judge)}, by its name a model of {unit} parameters: too "
            "small to judge well, so the scores mean little. They show that the evaluation runs, "
            "not which model is better."
        )
    if judges_itself:
        names = " and ".join(f"'{name}'" for name in judges_itself)
        said.append(f"It also judges itself: {names} runs on the same model.")
    return " ".join(said)


def same_model(header: RunHeader) -> tuple[str, ...]:
    """Subjects of the recipe whose engine runs the judge's model."""
    engines = header.recipe.get("engines") or {}
    evaluate = header.recipe.get("evaluate") or {}
    judge = (engines.get(evaluate.get("judge")) or {}).get("model")
    subjects = evaluate.get("subjects") or {}
    return tuple(
        name
        for name, engine in subjects.items()
        if judge and (engines.get(engine) or {}).get("model") == judge
    )


def parameters(model: str) -> float | None:
    """Parameters that a model's name claims (``…-135M-…``, ``…-13B``), None if it says nothing."""
    found = _SIZE.findall(model.replace("_", " ").replace("-", " "))
    sizes = [float(number) * (1e9 if unit in "bB" else 1e6) for number, unit in found]
    return max(sizes, default=None)


def short_model(model: str) -> str:
    """A model's name without the folder, package or file ending around it."""
    return re.sub(r"\.gguf$", "", model.rstrip("/").rsplit("/", 1)[-1]) or model
