"""The classifier says 0.5 of what can't be told, and length gives nothing away."""

import random

import pytest

from parrot_core.analysis.statistics.human import FollowUps, human_likeness
from parrot_core.analysis.statistics.session import Session
from parrot_core.analysis.statistics.values import Figure, Found

HUMAN = ("and", "now", "then", "what", "about", "which", "show", "me", "more", "why", "not", "it")
MACHINE = ("certainly", "delve", "furthermore", "tapestry", "kindly", "provide", "overview")


def side(words: tuple[str, ...], seed: int, sessions: int = 40, length: int = 8) -> FollowUps:
    rng = random.Random(seed)
    found = FollowUps(1)
    for number in range(sessions):
        queries = tuple(" ".join(rng.choices(words, k=length)) for _ in range(4))
        found.add(Session(f"{seed}-{number}", "en", queries, queries))
    return found


def auc(found: Found) -> Figure:
    [figure] = found.figures
    return figure


def test_queries_from_the_same_writer_cannot_be_told() -> None:
    figure = auc(human_likeness(side(HUMAN, 1), side(HUMAN, 2), 1))
    assert figure.value == pytest.approx(0.5, abs=0.12)
    assert figure.low is not None
    assert figure.high is not None
    assert figure.low <= 0.5 <= figure.high


def test_queries_from_another_writer_are_told() -> None:
    figure = auc(human_likeness(side(MACHINE, 1), side(HUMAN, 2), 1))
    assert figure.value is not None
    assert figure.value > 0.95


def test_only_queries_of_matching_length_are_compared() -> None:
    found = human_likeness(side(HUMAN, 1, length=4), side(HUMAN, 2, length=64), 1)
    assert auc(found).value is None
    assert "matching" in found.notes[0]


def test_it_is_the_same_again_under_its_seed() -> None:
    once, again = (human_likeness(side(MACHINE, 1), side(HUMAN, 2), 9) for _ in range(2))
    assert once == again


def test_too_few_sessions_give_no_figure_but_a_note() -> None:
    found = human_likeness(side(MACHINE, 1, sessions=3), side(HUMAN, 2), 1)
    assert auc(found).value is None
    assert found.notes
