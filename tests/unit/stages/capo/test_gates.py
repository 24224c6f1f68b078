import pytest
from hypothesis import given
from hypothesis import strategies as st

from parrot_core.stages.capo.gates import chosen_problem, negative_problem, normalise


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
    ],
)
def test_an_empty_answer_or_a_refusal_is_no_chosen_answer(answer: str) -> None:
    assert chosen_problem(answer) == "chosen_unusable"


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
    assert chosen_problem(answer) is None


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


@given(st.text(min_size=1).filter(str.strip), st.text())
def test_a_text_never_stands_against_itself_or_what_contains_it(text: str, more: str) -> None:
    assert negative_problem(text, text) == "negative_equals_chosen"
    assert negative_problem(text.upper(), text) in {None, "negative_equals_chosen"}
    if normalise(text).startswith(" "):
        assert negative_problem(f"{text} {more}", text) == "negative_equals_chosen"
