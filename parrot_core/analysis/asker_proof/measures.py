"""What follow-ups are like: dependent on the conversation or not, usable or not; and compared."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from parrot_core.analysis.asker_proof.contexts import HeldOutContext
from parrot_core.analysis.statistics.human import FollowUps, human_likeness
from parrot_core.analysis.statistics.session import Session
from parrot_core.analysis.statistics.values import Figure
from parrot_core.context import detect
from parrot_core.estimates import IntervalEstimate, Places, ratio, ratio_difference, resampled
from parrot_core.recipe import Filter
from parrot_core.stages.filters import RULES, first_failure
from parrot_core.stages.filters.rule import Turn
from parrot_core.text.similarity import tokens

Parts = npt.NDArray[np.float64]
SaidIn = tuple[str, str]
"""A session's name, and what was said in it."""
EMPTY = "empty_query"
AS_ASSISTANT = ("role_confusion", "answers", "refusal")
"""Rules of ``filters`` that see a query whose writer speaks as the assistant."""


@dataclass(frozen=True, slots=True)
class Look:
    """One query as the rules see it."""

    depends: bool
    refused: str | None  # the first of the recipe's filter rules that it fails
    as_assistant: bool
    question: bool  # holds a question mark
    words: int

    @property
    def asks(self) -> bool:
        """Whether it is a question that a user might have put: the filters keep it."""
        return self.question and not self.refused


@dataclass(frozen=True, slots=True)
class Proportion:
    """A measure over contexts: the sum of ``above`` over the sum of ``below``."""

    title: str
    above: Callable[[Look], float]
    below: Callable[[Look], float] = lambda look: 1
    percent: bool = True


SHARES: Mapping[str, Proportion] = {
    "depends": Proportion("context-dependent", lambda look: look.depends),
    "depends_usable": Proportion(
        "context-dependent, of those the filters keep",
        lambda look: look.depends and not look.refused,
        lambda look: not look.refused,
    ),
    "depends_question": Proportion(
        "asks a context-dependent question", lambda look: look.asks and look.depends
    ),
    "self_contained_question": Proportion(
        "asks a self-contained question", lambda look: look.asks and not look.depends
    ),
    "questions_depend": Proportion(
        "context-dependent, of its questions",
        lambda look: look.asks and look.depends,
        lambda look: look.asks,
    ),
    "usable": Proportion("kept by the filters", lambda look: not look.refused),
    "as_assistant": Proportion("speaks as the assistant", lambda look: look.as_assistant),
    "question": Proportion("has a question mark", lambda look: look.question),
    "words": Proportion("words", lambda look: look.words, percent=False),
}


def look_at(context: HeldOutContext, text: str, settings: Filter) -> Look:
    """Apply the detector and the filters to one query after its context."""
    turn = Turn(text, context.history)
    failure = first_failure(text, context.history, settings) if text else (EMPTY, "")
    return Look(
        depends=bool(text and detect(text, context.history, context.language).depends),
        refused=failure[0] if failure else None,
        as_assistant=any(RULES[name].check(turn, settings) for name in AS_ASSISTANT),
        question="?" in text or "？" in text,
        words=len(tokens(text)),
    )


def estimates(looks: Sequence[Look], seed: int) -> dict[str, IntervalEstimate]:
    """Every measure of one writer; each context is from a session of its own."""
    return {name: ratio(_parts(looks, name), seed) for name in SHARES}


def differences(
    looks: Sequence[Look], others: Sequence[Look], seed: int
) -> dict[str, IntervalEstimate]:
    """Every measure of one writer less the other's, paired: the same contexts are drawn of both."""
    return {
        name: ratio_difference(_parts(looks, name), _parts(others, name), seed) for name in SHARES
    }


def _parts(looks: Sequence[Look], name: str) -> tuple[list[float], list[float]]:
    share = SHARES[name]
    return [float(share.above(look)) for look in looks], [
        float(share.below(look)) for look in looks
    ]


def refusals(looks: Sequence[Look]) -> dict[str, int]:
    """How many queries each filter rule refuses first."""
    return dict(Counter(look.refused for look in looks if look.refused).most_common())


def nearer(
    looks: Sequence[Look], others: Sequence[Look], human: Sequence[Look], seed: int
) -> dict[str, IntervalEstimate]:
    """Distance from the human's, one writer's less the other's, by measure: below 0 is nearer."""
    found = {}
    for name in SHARES:
        one, other, people = (np.array(_parts(each, name)) for each in (looks, others, human))

        def apart(
            places: Places, one: Parts = one, other: Parts = other, people: Parts = people
        ) -> float:
            a, b, h = (_share_at(parts, places) for parts in (one, other, people))
            return abs(a - h) - abs(b - h)

        found[name] = resampled(apart, len(human), seed)
    return found


def _share_at(parts: Parts, places: Places) -> float:
    above, below = parts[:, places].sum(axis=1)
    return float(above / below) if below else float("nan")


def told_apart(
    ours: Sequence[SaidIn], theirs: Sequence[SaidIn], seed: int
) -> tuple[Figure, tuple[str, ...]]:
    """The AUC of a classifier that tells one side's queries from the other's, length-matched.

    Args:
        ours, theirs: texts with their sessions; those of one session are in one fold.
        seed: of the samples, folds and intervals.

    Raises:
        UserError: scikit-learn isn't installed.
    """
    sides = (FollowUps(seed), FollowUps(seed))
    for side, said in zip(sides, (ours, theirs), strict=True):
        for session, text in said:
            side.add(Session(session, None, ("", text), ("", "")))
    found = human_likeness(sides[0], sides[1], seed)
    return found.figures[0], found.notes
