import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parrot_core.engines.types import Message
from parrot_core.judging.grading import Score, parse_score, score_answer
from parrot_core.judging.grading_prompts import BUILT_IN
from parrot_core.recipe import Sampling
from tests.support.lakes.scripted_model import ScriptedModel

TALK: list[Message] = [
    {"role": "user", "content": "What is 2 + 2?"},
    {"role": "assistant", "content": "4"},
    {"role": "user", "content": "And times 3?"},
    {"role": "assistant", "content": "12"},
]


def score(model: ScriptedModel) -> Score:
    sampling = Sampling(temperature=0, max_tokens=16)
    return asyncio.run(
        score_answer("base/1/t2", TALK, [None] * 2, model, sampling, BUILT_IN["short"])
    )


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("[[7]]", 7),
        ("It is fine. [[ 7.5 ]]", 7.5),
        ("[[10]]", 10),
        ("[[8/10]]", 8),
        ("[[3]] and again [[3]]", 3),
        ("Rating: 9", 9),
        ("**Score:** 4/10", 4),
        ("Score: **4**", 4),
        ("grade: 6.5.", 6.5),
        ("Rating: 2, but [[8]]", 8),
        ("[[0]]", None),
        ("[[11]]", None),
        ("[[-3]]", None),
        ("[[3]] or [[4]]", None),
        ("[7]", None),
        ("7", None),
        ("[[seven]]", None),
        ("Rating: 85", None),
        ("Rating: 8/100", None),
        ("Rating: 80%", None),
        ("Rating: 1-10", None),
        ("Score: 1 to 10", None),
        ("", None),
    ],
)
def test_a_score_is_read_strictly(text: str, value: float | None) -> None:
    assert parse_score(text) == value


@given(st.integers(-20, 200) | st.floats(-5, 15).map(lambda x: round(x, 2)), st.text(max_size=30))
def test_a_score_within_bounds_is_found_in_any_text_and_others_never(
    number: float, around: str
) -> None:
    around = around.replace("[", "").replace("]", "")
    expected = number if 1 <= number <= 10 else None
    assert parse_score(f"{around}[[{number}]]{around}") == expected


@given(st.text(alphabet=st.sampled_from("[]0123456789./- Ratingscore:*%\n")))
def test_whatever_is_read_lies_within_bounds(text: str) -> None:
    value = parse_score(text)
    assert value is None or 1 <= value <= 10


def test_a_reply_without_a_score_is_asked_for_again_and_less_greedily() -> None:
    model = ScriptedModel(lambda _, sample: "[[6]]" if sample.endswith("/2") else "Good!")
    assert score(model) == Score("[[6]]", 6)
    assert model.samples == [f"base/1/t2/judge/{attempt}" for attempt in range(3)]
    assert [sampling.temperature for _, _, sampling in model.calls] == [0, 0.7, 0.7]


def test_after_three_replies_without_a_score_there_is_none() -> None:
    model = ScriptedModel(lambda _, __: "Good!")
    assert score(model) == Score("Good!", None)
    assert len(model.calls) == 3
