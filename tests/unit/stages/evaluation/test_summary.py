import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parrot_core.stages.evaluation.summary import Judged, summarise

answers = st.builds(
    Judged,
    subject=st.sampled_from(["base", "chat"]),
    session=st.sampled_from(["1", "2", "3"]),
    category=st.sampled_from(["math", "stem"]),
    turn=st.integers(1, 4),
    score=st.integers(1, 10).map(float),
)


def test_means_and_counts_by_turn_and_category() -> None:
    judged = [
        Judged("base", "1", "math", 1, 4),
        Judged("base", "1", "math", 2, 2),
        Judged("base", "2", "stem", 1, 9),
        Judged("chat", "1", "math", 1, 10),
    ]
    base, chat = summarise(judged, seed=7)
    assert (base.subject, chat.subject) == ("base", "chat")
    assert (base.overall.mean, base.overall.n, base.overall.sessions) == (5, 3, 2)
    assert {turn: (e.mean, e.n) for turn, e in base.by_turn.items()} == {1: (6.5, 2), 2: (2, 1)}
    assert {name: e.mean for name, e in base.by_category.items()} == {"math": 3, "stem": 9}
    assert base.overall.low == 3  # the session of 4 and 2, drawn twice
    assert base.overall.high == 9
    assert (chat.overall.low, chat.overall.high) == (None, None)  # one session has no spread
    assert base.to_json()["by_turn"]["1"]["mean"] == 6.5


@given(st.lists(answers, min_size=1, max_size=30), st.integers(0, 5))
def test_the_mean_lies_within_the_scores_and_order_changes_nothing(
    judged: list[Judged], seed: int
) -> None:
    shuffled = judged.copy()
    random.Random(seed).shuffle(shuffled)
    first = {summary.subject: summary for summary in summarise(judged, seed)}
    again = {summary.subject: summary for summary in summarise(shuffled, seed)}
    assert first == again
    for summary in first.values():
        scores = [answer.score for answer in judged if answer.subject == summary.subject]
        assert summary.overall.n == len(scores)
        assert min(scores) <= summary.overall.mean <= max(scores)
        if summary.overall.low is not None and summary.overall.high is not None:
            assert min(scores) <= summary.overall.low <= summary.overall.high <= max(scores)


def test_the_interval_narrows_with_more_sessions_and_covers_the_mean() -> None:
    def width(sessions: int) -> float:
        source = random.Random(3)
        judged = [
            Judged("base", str(session), "math", 1, source.choice([2.0, 8.0]))
            for session in range(sessions)
        ]
        [summary] = summarise(judged, seed=1)
        assert summary.overall.low is not None
        assert summary.overall.high is not None
        assert summary.overall.low <= summary.overall.mean <= summary.overall.high
        return summary.overall.high - summary.overall.low

    assert width(400) < width(25)
    assert width(400) == pytest.approx(2 * 1.96 * 3 / 20, rel=0.15)  # normal approximation


def test_no_judgments_give_no_summary() -> None:
    assert summarise([], seed=1) == []
