import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parrot_core.engines.types import Message
from parrot_core.judging.depends import DependenceVerdict, judge_dependence, parse_verdict
from parrot_core.recipe import Sampling
from tests.support.lakes.scripted_model import ScriptedModel

HISTORY: list[Message] = [
    {"role": "user", "content": "What is the Eiffel Tower?"},
    {"role": "assistant", "content": "A tower in Paris. " + "x" * 2000},
]


def judge(model: ScriptedModel) -> DependenceVerdict:
    sampling = Sampling(temperature=0, max_tokens=16)
    return asyncio.run(judge_dependence("s/t2", HISTORY, "How tall is it?", "en", model, sampling))


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("YES", True),
        ("Yes, it does.", True),
        (" **Yes**", True),
        ("no", False),
        ("No.", False),
        ("是", True),
        ("不是。", False),
        ("否", False),
        ("YES or NO", None),
        ("是否", None),
        ("nothing", None),
        ("yesterday", None),
        ("It depends.", None),
        ("", None),
    ],
)
def test_only_a_reply_that_opens_with_yes_or_no_is_a_verdict(
    text: str, verdict: bool | None
) -> None:
    assert parse_verdict(text) is verdict


@given(st.text())
def test_any_text_is_parsed_without_an_error(text: str) -> None:
    assert parse_verdict(text) in {True, False, None}


def test_an_unreadable_reply_is_asked_for_once_more_and_less_greedily() -> None:
    model = ScriptedModel(lambda _, sample: "Hm." if sample.endswith("/0") else "YES")
    assert judge(model) == DependenceVerdict("YES", True)
    assert model.samples == ["s/t2/depends/0", "s/t2/depends/1"]
    assert [sampling.temperature for _, _, sampling in model.calls] == [0, 0.7]


def test_no_verdict_is_invented_from_two_unreadable_replies() -> None:
    assert judge(ScriptedModel(lambda _, __: "Hm.")) == DependenceVerdict("Hm.", None)


def test_the_judge_sees_query_and_history_with_long_messages_cut() -> None:
    model = ScriptedModel(lambda _, __: "NO")
    assert judge(model).depends is False
    asked = model.calls[0][1][-1]["content"]
    assert "How tall is it?" in asked
    assert "What is the Eiffel Tower?" in asked
    assert len(asked) < 1200
