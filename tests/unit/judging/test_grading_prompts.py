import json
from collections.abc import Sequence

import pytest

from parrot_core.engines.types import Message
from parrot_core.errors import SourceError
from parrot_core.judging.grading import parse_score
from parrot_core.judging.grading_prompts import BUILT_IN, fastchat_prompts

TALK: list[Message] = [
    {"role": "user", "content": "What is 2 + 2?"},
    {"role": "assistant", "content": "4"},
    {"role": "user", "content": "And {times} 3?"},
    {"role": "assistant", "content": "12"},
]


def whole(messages: Sequence[Message]) -> str:
    return "\n".join(message["content"] for message in messages)


@pytest.mark.parametrize("name", sorted(BUILT_IN))
def test_the_judge_sees_the_conversation_and_the_references_of_every_turn(name: str) -> None:
    asked = whole(BUILT_IN[name].messages(TALK, ["It is 4.", "It is 12."]))
    for text in (*(message["content"] for message in TALK), "It is 4.", "It is 12."):
        assert text in asked
    assert "eference" not in whole(BUILT_IN[name].messages(TALK, [None, None]))


def test_by_default_an_explanation_comes_before_the_grade() -> None:
    task, _ = BUILT_IN["explain"].messages(TALK, [None, None])
    assert task["content"].index("explanation") < task["content"].index("[[N]]")


def test_the_short_form_shows_three_grades_first() -> None:
    asked = BUILT_IN["short"].messages(TALK, [None, None])
    assert [message["role"] for message in asked] == ["user", "assistant"] * 3 + ["user"]
    for message in asked[1::2]:
        assert parse_score(message["content"]) is not None


PROMPTS = [
    {"name": name, "system_prompt": f"You are {name}.", "prompt_template": template}
    for name, template in {
        "single-v1": "{question} -> {answer}",
        "single-math-v1": "{question} -> {answer}, {ref_answer_1}",
        "single-v1-multi-turn": "{question_1} {answer_1} {question_2} -> {answer_2}",
        "single-math-v1-multi-turn": "{ref_answer_1} {ref_answer_2} {question_2} -> {answer_2}",
    }.items()
]


def test_a_file_in_fastchats_layout_gives_the_prompts_for_each_case() -> None:
    data = json.dumps(PROMPTS).encode()
    prompt = fastchat_prompts("f", data, list(enumerate(PROMPTS, 1)))
    assert prompt.name.startswith("file-")
    first = prompt.messages(TALK[:2], [None])
    assert whole(first) == "You are single-v1.\nWhat is 2 + 2? -> 4"
    second = prompt.messages(TALK, ["It is 4.", None])
    assert whole(second).endswith("It is 4.  And {times} 3? -> 12")


def test_a_file_without_a_prompt_or_with_a_wrong_line_is_one_line_that_says_so() -> None:
    with pytest.raises(SourceError, match="no prompt named single-math-v1-multi-turn"):
        fastchat_prompts("f", b"", list(enumerate(PROMPTS[:3], 1)))
    with pytest.raises(SourceError, match="f, line 1: expected"):
        fastchat_prompts("f", b"", [(1, {"name": 3})])
