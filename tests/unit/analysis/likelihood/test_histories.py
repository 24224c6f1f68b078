import pytest

from parrot_core.analysis.likelihood.held_out_pairs import QueryPairs
from parrot_core.analysis.likelihood.histories import HISTORIES, history_gains, with_history
from parrot_core.analysis.likelihood.preference_accuracy import _by_history, accuracy_grids


def query(session, system=False):
    before = [{"role": "system", "content": f"be {session}"}] if system else []
    prompt = [
        *before,
        {"role": "user", "content": f"about {session}"},
        {"role": "assistant", "content": f"{session} it is"},
        {"role": "user", "content": f"and {session}?"},
    ]
    chosen = [{"role": "assistant", "content": "yes"}]
    rejected = {"neglect": [{"role": "assistant", "content": "no"}]}
    return QueryPairs(f"{session}/t2", 2, prompt, chosen, rejected=rejected)


QUERIES = [query("a", system=True), query("b"), query("c")]


def texts(found):
    return [message["content"] for message in found.prompt]


def test_without_its_history_a_query_stands_alone_with_its_system_message():
    alone = with_history(QUERIES, "none")
    assert [texts(each) for each in alone] == [["be a", "and a?"], ["and b?"], ["and c?"]]
    assert [each.rejected for each in alone] == [each.rejected for each in QUERIES]


def test_another_sessions_history_is_put_before_it_and_never_its_own():
    other = with_history(QUERIES, "other")
    assert texts(other[0]) == ["be a", "about b", "b it is", "and a?"]
    assert texts(other[2]) == ["about a", "a it is", "and c?"]
    assert with_history(QUERIES, "own") == QUERIES


def test_a_preference_that_leans_on_the_history_is_told_from_one_that_does_not():
    def scores(chosen, rejected):
        return {each.id: [(chosen, 1), (rejected, 1)] for each in QUERIES}

    own, alone = scores(-1.0, -2.0), scores(-3.0, -2.0)
    found = _by_history(QUERIES, own, lambda asked: alone, 1)
    assert found["queries"] == 3
    assert found["history_gain"]["mean"] == pytest.approx(2.0)
    means = {name: each["mean"]["mean"] for name, each in found["prompts"].items()}
    assert means == {"own": 1.0, "none": 0.0, "other": 0.0}
    (grid,) = accuracy_grids({"parts": {}, "histories": {"sft": found}})
    assert [row[1].split()[0] for row in grid.rows] == ["100.0", "0.0", "0.0", "2.000"]
    assert len(grid.rows) == len(HISTORIES) + 1


def test_what_does_not_fit_with_every_prompt_is_left_out_of_all():
    own = {each.id: [(-1.0, 1), (-2.0, 1)] for each in QUERIES}
    alone = own | {"b/t2": None}
    assert _by_history(QUERIES, own, lambda asked: alone, 1)["queries"] == 2
    assert _by_history(QUERIES, own, lambda asked: dict.fromkeys(own), 1) == {}


def test_the_gain_is_a_token_so_that_long_answers_count_no_more():
    gains = history_gains(QUERIES[:1], {"a/t2": [(-10.0, 10)]}, {"a/t2": [(-30.0, 10)]}, "m")
    assert [point.score for point in gains] == [2.0]
