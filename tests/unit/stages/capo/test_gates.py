import pytest
from hypothesis import given
from hypothesis import strategies as st

from parrot_core.stages.capo.gates import (
    asks_back,
    chosen_problem,
    evidence_ignored,
    negative_problem,
    normalise,
)


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "  \n",
        "I'm sorry, but I can't assist with that request.",
        "I’m sorry, but as an AI language model I am not able to provide medical advice.",
        "As an AI language model, I don't have access to real-time data.",
        "I cannot fulfill this request.",
        "很抱歉，我无法回答这个问题。",
        "Could you please clarify which tower you mean?",
        "how tall is it",
    ],
)
def test_an_empty_answer_a_refusal_a_question_back_or_the_query_is_no_chosen_answer(
    answer: str,
) -> None:
    assert chosen_problem(answer, "How tall is it?")


@pytest.mark.parametrize(
    "answer",
    [
        "The Eiffel Tower is 330 metres tall.",
        "Sorry for the confusion! It was built in 1889.",
        "You can't divide by zero, so the result is undefined.",
        "I can't help but admire the design: it is made of iron.",
        "是的，它建于1889年。",
    ],
)
def test_an_answer_is_a_chosen_answer(answer: str) -> None:
    assert not chosen_problem(answer, "How tall is it?")


@pytest.mark.parametrize(
    ("negative", "reason"),
    [
        ("", "negative_empty"),
        (" \n\t", "negative_empty"),
        ("it was built in  1889", "negative_equals_chosen"),
        ("Yes! It was built in 1889. Anything else?", "negative_equals_chosen"),
        ("1889", "negative_equals_chosen"),
        ("It was built in 188", None),
        ("It was written by Goethe.", None),
    ],
)
def test_a_negative_must_say_something_else_than_the_chosen_answer(
    negative: str, reason: str | None
) -> None:
    assert negative_problem(negative, "It was built in 1889.") == reason


def test_chinese_answers_are_compared_too() -> None:
    assert negative_problem("它建于1889年", "它建于 1889年。") == "negative_equals_chosen"
    assert negative_problem("它在巴黎", "它建于1889年") is None


@pytest.mark.parametrize(
    "answer",
    [
        "Could you please clarify what you are referring to?",
        "I'd be happy to help! Can you provide more context?",
        "What do you mean by that?",
        "Great! What topic do you have in mind for your book?",
        "好的，你想写什么？",
        "I'm sorry, but I don't have any feedback to evaluate.",
        "Which tower are you referring to?",
        "I don't have enough context to answer that.",
        "请您具体说明一下。",
        "您指的是什么？",
    ],
)
def test_a_question_back_is_no_error_and_so_no_negative(answer: str) -> None:
    assert negative_problem(answer, "It was built in 1889.") == "negative_asks_back"


@pytest.mark.parametrize(
    "answer",
    ["It is 5 metres tall. Could you use a ladder?", "What a view! It is unclear when it opened."],
)
def test_an_answer_with_a_question_in_it_stays_a_negative(answer: str) -> None:
    assert not asks_back(answer)


def test_questions_that_were_asked_for_are_an_answer() -> None:
    asked = "What is your greatest strength? Where will you be in five years?"
    assert negative_problem("Why do you bake? What is your favourite loaf?", asked) is None


@given(st.text(min_size=1).filter(lambda text: text.strip() and not asks_back(text)), st.text())
def test_a_text_never_stands_against_itself_or_what_contains_it(text: str, more: str) -> None:
    assert negative_problem(text, text) == "negative_equals_chosen"
    assert negative_problem(text.upper(), text) != "negative_empty"
    if normalise(text).startswith(" "):
        found = negative_problem(f"{text} {more}", text)
        assert found in ("negative_equals_chosen", "negative_asks_back")


@pytest.mark.parametrize(
    ("negative", "ignored"),
    [
        ("The tower measures 330 metres.", True),
        ("A giraffe's tower of bones measures 5 metres.", False),
        ("About 5.", False),
    ],
)
def test_a_negative_that_says_what_the_chosen_answer_says_must_speak_of_its_evidence(
    negative: str, ignored: bool
) -> None:
    chosen = "The tower measures 330 metres."
    assert evidence_ignored(negative, "a giraffe", "How tall is it?", chosen) is ignored
    assert not evidence_ignored(negative, None, "How tall is it?", chosen)


def test_a_refusal_is_no_negative() -> None:
    assert negative_problem("I'm sorry, but I can't help with that.", "Yes.") == "negative_refuses"


def test_a_chosen_answer_that_an_earlier_one_holds_word_for_word_is_unusable() -> None:
    old = "Plant the seedlings in a sunny place, and water the beds often. Then wait."
    again = "plant the seedlings in a sunny place and water the beds often"
    assert chosen_problem(again, "And then?", [old]).endswith("repeats an earlier one")
    assert not chosen_problem(f"{again} with rain", "And then?", [old])
    assert not chosen_problem("Then wait.", "And then?", [old])
