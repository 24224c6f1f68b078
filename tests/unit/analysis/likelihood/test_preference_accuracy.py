import pytest

from parrot_core.analysis.likelihood.held_out_pairs import Learned, by_query, measured
from parrot_core.analysis.likelihood.preference_accuracy import (
    PLACEBO,
    _part,
    accuracy_grids,
    points_of,
)
from parrot_core.text.text_table import Grid


def pair(session, turn, strategy):
    return {
        "id": f"{session}/t{turn}:{strategy}",
        "source_ids": [f"{session}/t{turn}"],
        "turn": turn,
        "strategy": strategy,
        "prompt": [{"role": "user", "content": "And it?"}],
        "chosen": [{"role": "assistant", "content": "yes"}],
        "rejected": [{"role": "assistant", "content": strategy}],
    }


ROWS = [pair(f"s{n}", 2 + n % 2, k) for n in range(6) for k in ("neglect", "hallucination")]


def test_a_query_counts_as_seen_if_any_compared_model_saw_it():
    one = Learned(frozenset({"s0/t2"}), frozenset({"s1"}))
    other = Learned(frozenset({"s3/t3"}), frozenset({"s0", "s2"}))
    seen = {query.id: query.seen for query in by_query(ROWS, [one, other])}
    assert seen == {
        "s0/t2": "pairs",
        "s1/t3": "answer",
        "s2/t2": "answer",
        "s3/t3": "pairs",
        "s4/t2": "nothing",
        "s5/t3": "nothing",
    }


def test_what_was_trained_on_is_measured_only_if_asked_for():
    queries = by_query(ROWS, [Learned(frozenset({"s0/t2"}), frozenset())])
    assert {q.id for q in measured(queries, None, 1, trained=False)} == {
        q.id for q in queries if q.id != "s0/t2"
    }
    assert len(measured(queries, None, 1, trained=True)) == 6
    few = measured(queries, 2, 1, trained=False)
    assert len(few) == 2
    assert few == measured(queries[::-1], 2, 1, trained=False)


def test_a_long_answer_is_not_worse_for_its_length_and_a_tie_is_no_win():
    (query, *_) = by_query(ROWS[:2], [Learned(frozenset(), frozenset())])
    scores = {query.id: [(-20.0, 20), (-6.0, 3), (-20.0, 20)]}
    values = {
        measure: [point.score for point in points_of([query], scores, "m", measure)]
        for measure in ("mean", "sum", "margin")
    }
    assert values == {"mean": [1.0, 0.0], "sum": [0.0, 0.0], "margin": [1.0, 0.0]}


def test_the_table_shows_each_negative_each_turn_and_the_gain_with_intervals():
    queries = by_query(ROWS, [Learned(frozenset(), frozenset())])
    bad = {q.id: [(-2.0, 1), (-1.0, 1), (-3.0, 1)] for q in queries}
    good = {q.id: [(-2.0, 1), (-3.0, 1), (-3.0, 1)] for q in queries}
    part = _part(queries, {"sft": bad, "chat": good}, seed=1)
    grid, margins = accuracy_grids({"parts": {"nothing": part}})
    assert grid.header == ("pairs", "n", "sft", "chat")
    shown = {row[0]: row[1:] for row in grid.rows}
    assert shown["all"] == ("12", "50.0 [50.0, 50.0]", "100.0 [100.0, 100.0]")
    assert shown["neglect"] == ("6", "0.0 [0.0, 0.0]", "100.0 [100.0, 100.0]")
    assert shown["turn 3"][0] == "6"
    assert shown["gain over sft"] == ("12", "0.0 [0.0, 0.0]", "50.0 [50.0, 50.0]")
    assert "12 pairs of 6 queries" in grid.title
    assert {row[0]: row[3] for row in margins.rows}["all"] == "1.000 [1.000, 1.000]"


def test_second_answers_after_the_same_histories_are_a_line_of_their_own_and_in_no_other():
    rows = [{**row, "placebo": f"yes {n % 2}"} for n, row in enumerate(ROWS)]
    queries = by_query(rows, [Learned(frozenset(), frozenset())])
    assert queries[0].answers[-1] == [{"role": "assistant", "content": "yes 0"}]
    scores = {
        q.id: [(-2.0, 1), (-3.0, 1), (-3.0, 1), (-1.0 if n % 2 else -4.0, 1)]
        for n, q in enumerate(queries)
    }
    part = _part(queries, {"m": scores}, seed=1)
    shown = {row[0]: row[1:] for row in accuracy_grids({"parts": {"nothing": part}})[0].rows}
    assert shown["all"] == ("12", "100.0 [100.0, 100.0]")
    assert shown[PLACEBO][0] == "6"
    assert shown[PLACEBO][1].startswith("50.0 [")


def test_a_single_query_has_no_interval():
    queries = by_query(ROWS[:2], [Learned(frozenset(), frozenset())])
    part = _part(queries, {"m": {q.id: [(-1.0, 1), (-2.0, 1), (-2.0, 1)] for q in queries}}, 1)
    assert accuracy_grids({"parts": {"answer": part}})[0].rows[0] == ("all", "2", "100.0")


def test_markdown_has_a_line_a_row():
    text = Grid("Title", ("pairs", "n"), (("all", "3"),)).markdown()
    assert text == "**Title**\n\n| pairs | n |\n| --- | --- |\n| all | 3 |\n"


@pytest.mark.parametrize("limit", [0, None])
def test_without_a_limit_all_stay(limit):
    queries = by_query(ROWS, [Learned(frozenset(), frozenset())])
    assert len(measured(queries, limit, 1, trained=False)) == (6 if limit is None else 0)
