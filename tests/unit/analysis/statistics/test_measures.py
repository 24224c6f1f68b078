"""Each measure says what its definition says, on sessions small enough to count by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parrot_core.analysis.statistics.measures import Measure, offline_measures
from parrot_core.analysis.statistics.measures.context import ContextMeasure
from parrot_core.analysis.statistics.measures.distinct import WINDOW, DistinctMeasure
from parrot_core.analysis.statistics.measures.lengths import Lengths
from parrot_core.analysis.statistics.measures.self_rouge import SelfRouge
from parrot_core.analysis.statistics.measures.topics import TopicShifts
from parrot_core.analysis.statistics.measures.turns import LONGEST, Turns
from parrot_core.analysis.statistics.sampling import Draw
from parrot_core.analysis.statistics.session import Session, session_of
from parrot_core.analysis.statistics.tokens import Words
from parrot_core.analysis.statistics.values import Found


def talk(*queries: str, id: str = "s", answer: str = "It is so.") -> Session:
    return Session(id, "en", queries, tuple(answer for _ in queries))


def value(found: Found, name: str) -> float | None:
    return next(figure.value for figure in found.figures if figure.name == name)


def fed(measure: Measure, *sessions: Session) -> Found:
    for session in sessions:
        measure.add(session, measure.read(session))
    return measure.found()


def test_turns_are_user_queries_and_their_shares_sum_to_one() -> None:
    long = talk(*("Why?" for _ in range(LONGEST + 5)))
    found = fed(Turns(1), talk("a"), talk("a", "b"), long)
    assert value(found, "turns") == pytest.approx((1 + 2 + LONGEST + 5) / 3)
    assert value(found, "short_sessions") == pytest.approx(2 / 3)
    [curve] = found.curves
    assert sum(point.value for point in curve.points) == pytest.approx(1)
    assert curve.points[-1].x == LONGEST


def test_tokens_of_queries_follow_ups_and_answers_are_counted_apart() -> None:
    found = fed(Lengths(1, Words()), talk("one two three", "four five"), talk("six"))
    assert value(found, "query_tokens") == pytest.approx(6 / 3)
    assert value(found, "follow_up_tokens") == pytest.approx(2)
    assert value(found, "answer_tokens") == pytest.approx(3)
    assert value(found, "session_tokens") == pytest.approx((11 + 4) / 2)


def test_an_opening_query_never_counts_as_context_dependent() -> None:
    found = fed(
        ContextMeasure(1), talk("What is its area?"), talk("Where is Paris?", "What is its area?")
    )
    assert value(found, "context_dependent") == pytest.approx(1 / 2)
    assert value(found, "context_dependent_share") == pytest.approx(1)
    assert value(found, "anaphora") == pytest.approx(1)
    assert value(found, "ellipsis") == pytest.approx(0)


def test_sessions_without_follow_ups_have_no_share_instead_of_zero() -> None:
    found = fed(ContextMeasure(1), talk("Hello there"))
    assert value(found, "context_dependent_share") is None


def test_self_rouge_is_100_for_repeats_and_0_for_queries_that_share_no_word() -> None:
    assert value(fed(SelfRouge(1), talk("same words", "same words")), "self_rouge") == 100
    assert value(fed(SelfRouge(1), talk("alpha beta", "gamma delta")), "self_rouge") == 0


def test_self_rouge_averages_over_earlier_queries_then_follow_ups() -> None:
    # the third query equals the first (1) and shares nothing with the second (0): (0 + 1/2) / 2
    found = fed(SelfRouge(1), talk("alpha beta", "gamma delta", "alpha beta"))
    assert value(found, "self_rouge") == pytest.approx(25)


def test_self_rouge_across_sessions_takes_the_nearest_other_query() -> None:
    sessions = [talk("alpha beta", id="1"), talk("alpha beta", id="2"), talk("gamma", id="3")]
    assert value(fed(SelfRouge(1), *sessions), "self_rouge_across") == pytest.approx(200 / 3)


def test_distinct_n_does_not_fall_because_there_is_more_of_the_same() -> None:
    rng = np.random.default_rng(0)
    texts = [" ".join(map(str, rng.integers(0, 5000, 50))) for _ in range(200)]
    sessions = [talk(text, id=str(i)) for i, text in enumerate(texts)]
    few = value(fed(DistinctMeasure(1), *sessions[:40]), "distinct_1")
    many = value(fed(DistinctMeasure(1), *sessions), "distinct_1")
    assert few == pytest.approx(many, abs=0.02)


def test_distinct_n_of_one_repeated_word_is_one_over_the_window() -> None:
    sessions = [talk("word " * 50, id=str(i)) for i in range(WINDOW // 50)]
    assert value(fed(DistinctMeasure(1), *sessions), "distinct_1") == pytest.approx(1 / WINDOW)


def test_a_query_that_shares_nothing_with_the_talk_is_a_topic_shift() -> None:
    stays = talk("How do I bake bread?", "Which flour suits bread best?", id="stays")
    leaves = talk("How do I bake bread?", "Name a river of Norway.", id="leaves")
    others = [talk(f"Word{i} of{i} another{i} matter{i}", id=str(i)) for i in range(30)]
    found = fed(TopicShifts(1), stays, leaves, *others)
    assert value(found, "topic_shifts") == pytest.approx(1 / 32)


def test_the_drift_of_the_topic_is_told_by_turn() -> None:
    drifting = talk("How do I bake bread?", "Which flour suits bread?", "Name a river of Norway.")
    others = [talk(f"Word{i} of{i} another{i} matter{i}", id=str(i)) for i in range(30)]
    curves = {curve.name: curve for curve in fed(TopicShifts(1), drifting, *others).curves}
    assert [(p.x, p.value, p.n) for p in curves["topic_shifts_by_turn"].points] == [
        (2, 0.0, 1),
        (3, 1.0, 1),
    ]
    near = [point.value for point in curves["opening_by_turn"].points]
    assert near[0] > 0.1 > near[1] == 0


def test_a_query_that_leans_on_the_talk_is_no_topic_shift() -> None:
    found = fed(TopicShifts(1), talk("How do I bake bread?", "Why is that?"), talk("Rivers?"))
    assert value(found, "topic_shifts") == 0


def test_every_measure_bears_an_empty_set() -> None:
    for measure in offline_measures(1, Words()):
        assert all(figure.value is None for figure in measure.found().figures), measure.name


@settings(deadline=None, max_examples=60)
@given(st.lists(st.lists(st.text(max_size=40), min_size=1, max_size=5), max_size=6))
def test_no_text_breaks_a_measure_and_every_interval_holds_its_figure(
    sessions: list[list[str]],
) -> None:
    for measure in offline_measures(3, Words()):
        talks = [talk(*queries, id=str(i)) for i, queries in enumerate(sessions)]
        for figure in fed(measure, *talks).figures:
            if figure.low is not None and figure.high is not None and figure.value is not None:
                assert figure.low <= figure.high


@settings(deadline=None)
@given(st.permutations(range(30)), st.integers(1, 40))
def test_a_sample_does_not_depend_on_the_order_of_the_stream(order: list[int], limit: int) -> None:
    def drawn(items: list[int]) -> list[int]:
        draw: Draw[int] = Draw(limit, 5, "test")
        for item in items:
            draw.offer(str(item), item)
        return draw.items()

    assert drawn(order) == drawn(list(range(30)))
    assert len(drawn(order)) == min(limit, 30)


def test_a_session_pairs_queries_with_what_was_answered() -> None:
    session = session_of(
        "x",
        None,
        [
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": "one"},
            {"role": "assistant", "content": "1"},
            {"role": "user", "content": "two"},
        ],
    )
    assert (session.queries, session.responses) == (("one", "two"), ("1", ""))
    assert [m["content"] for m in session.history(2)] == ["one", "1"]
    assert [m["content"] for m in session.history(3)] == ["one", "1", "two"]
