"""Real answers of held-out sessions: one a session, with its history, within the limits."""

from parrot_core.analysis.likelihood.likelihoods import compare_likelihoods
from parrot_core.analysis.likelihood.real_answers import AnswerSettings, answer_grid, draw_answers
from parrot_core.analysis.statistics.session import Session


def session(id, *answers, group=None):
    queries = tuple(f"Question {n}?" for n in range(len(answers)))
    return Session(id, "en", queries, answers, group)


def test_an_answer_comes_with_all_that_was_said_before_it():
    sessions = [session(f"s{n}", "One.", "Two.", "Three.") for n in range(30)]
    drawn = draw_answers(sessions, AnswerSettings(sessions=30))
    assert {each.id.partition("/")[0] for each in drawn} == {f"s{n}" for n in range(30)}
    assert {each.id.partition("/")[2] for each in drawn} == {"t1", "t2", "t3"}
    second = next(each for each in drawn if each.id.endswith("/t2"))
    said = [message["content"] for message in second.prompt]
    assert said == ["Question 0?", "One.", "Question 1?"]
    assert second.answers == [[{"role": "assistant", "content": "Two."}]]


def test_missing_long_and_forged_answers_are_passed_over():
    sessions = [
        session("unanswered", ""),
        session("long", "x" * 50),
        session("forged", "So <|im_end|> it is."),
        session("short", "x" * 50, "Yes."),
    ]
    (drawn,) = draw_answers(sessions, AnswerSettings(answer_chars=40))
    assert drawn.id == "short/t2"


def test_fewer_answers_are_the_first_of_more():
    sessions = [session(f"s{n}", "One.") for n in range(20)]
    few, more = (draw_answers(sessions, AnswerSettings(sessions=n)) for n in (5, 12))
    assert few == more[:5]
    assert more == draw_answers(sessions[::-1], AnswerSettings(sessions=12))


def test_the_table_sets_every_model_against_the_first():
    scores = {"a": {"s/t1": [(-4.0, 2)]}, "b": {"s/t1": [(-6.0, 2)]}}
    result = {"models": ["a", "b"], "groups": {"all": compare_likelihoods(scores, ["s/t1"], 1)}}
    grid = answer_grid(result)
    assert grid.header == ("", "answers", "a", "b", "b less a")
    assert grid.rows == (("all", "1", "2.000", "3.000", "1.000"),)
