"""What whole sessions come to: over repeats, at their weakest turn, and against a single turn."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

from pydantic import TypeAdapter

from parrot_core.stages.evaluation.summary import Estimate, Judged, estimate

SINGLE_TURN = " (single turn)"
"""Ends the name under which a subject's answers to single-turn controls are kept."""


@dataclass(frozen=True, slots=True)
class SessionFigures:
    """One subject, each figure a mean over sessions with its 95 % interval.

    Attributes:
        repeats: how often each session was held.
        mean: of a session's answers, over all repeats.
        best, worst: of a session's repeats, by the mean of its answers.
        gap: the best less the worst: how unreliable the subject is.
        lowest_turn: the lowest score in a session (MT-Bench-101 counts that).
        single_turn: of the single-turn controls; None where there are none.
        difference: the answer in conversation less that to its control, over the turns that have
            both.
    """

    subject: str
    repeats: int
    mean: Estimate
    best: Estimate
    worst: Estimate
    gap: Estimate
    lowest_turn: Estimate
    single_turn: Estimate | None = None
    difference: Estimate | None = None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "SessionFigures":
        return TypeAdapter(cls).validate_python(data)


def session_figures(judged: Iterable[Judged], seed: int) -> list[SessionFigures]:
    """The figures of each subject, in the order in which subjects first appear.

    Args:
        judged: all answers; those without a score as the lowest, since a session that breaks off
            is a bad one.
        seed: of the intervals.
    """
    subjects: dict[str, list[Judged]] = {}
    for answer in judged:
        subjects.setdefault(answer.subject, []).append(answer)
    return [
        _figures(name, answers, subjects.get(name + SINGLE_TURN, []), seed)
        for name, answers in subjects.items()
        if not name.endswith(SINGLE_TURN)
    ]


def _figures(name: str, answers: list[Judged], controls: list[Judged], seed: int) -> SessionFigures:
    sessions: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for answer in answers:
        sessions[answer.session][answer.repeat].append(answer.score)
    means = {id: [fmean(held) for held in repeats.values()] for id, repeats in sessions.items()}
    lowest = {id: fmean(map(min, repeats.values())) for id, repeats in sessions.items()}
    of_sessions = {
        "mean": {id: fmean(found) for id, found in means.items()},
        "best": {id: max(found) for id, found in means.items()},
        "worst": {id: min(found) for id, found in means.items()},
        "gap": {id: max(found) - min(found) for id, found in means.items()},
        "lowest_turn": lowest,
    }
    figures = {
        figure: estimate(
            [Judged(name, id, "", 1, value) for id, value in values.items()], seed, name
        )
        for figure, values in of_sessions.items()
    }
    paired = _differences(name, answers, controls)
    return SessionFigures(
        subject=name,
        repeats=max(map(len, sessions.values())),
        **figures,
        single_turn=estimate(controls, seed, name) if controls else None,
        difference=estimate(paired, seed, name) if paired else None,
    )


def _differences(name: str, answers: list[Judged], controls: list[Judged]) -> list[Judged]:
    sides: tuple[dict[tuple[str, int], list[float]], ...] = (defaultdict(list), defaultdict(list))
    for side, scored in zip(sides, (answers, controls), strict=True):
        for answer in scored:
            side[answer.session, answer.turn].append(answer.score)
    conversation, single = sides
    return [
        Judged(name, session, "", turn, fmean(conversation[session, turn]) - fmean(scores))
        for (session, turn), scores in single.items()
        if (session, turn) in conversation
    ]
