"""What askers of flesh don't do is refused: answering, echoing, speaking as the assistant."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parrot_core.engines.types import Message
from parrot_core.recipe import Filter
from parrot_core.stages.filters import RULES, Turn
from parrot_core.stages.filters.rule import Heard
from parrot_core.stages.filters.stage import turns_of
from parrot_core.text.similarity import WITHOUT_CONTENT

SETTINGS = Filter()
ANSWER = (
    "Mont Blanc is 4,806 metres high and lies on the border between France and Italy, where two "
    "men from Chamonix climbed it for the first time in August 1786."
)


def _messages(*texts: str) -> list[Message]:
    return [
        Message(role="user" if place % 2 == 0 else "assistant", content=text)
        for place, text in enumerate(texts)
    ]


def _check(rule: str, query: str, *earlier: str, response: str | None = None) -> str | None:
    return RULES[rule].check(Turn(query, _messages(*earlier), response), SETTINGS)


@pytest.mark.parametrize(
    "query",
    [
        "What does cafÃ© mean?",
        "donâ€™t you think so",
        "a\x00b or not",
        "half a \ud83d smile",
        "What does caf\ufffd mean?",
        "锟斤拷是什么",
    ],
)
def test_broken_encoding_is_seen(query: str) -> None:
    assert _check("encoding", query)


@pytest.mark.parametrize(
    "query",
    ["naïve café, “quoted” – and so on…", "它有多高？", "Ünïcödé 👍🏽", "def f():\n\treturn 'é'"],
)
def test_any_script_and_sign_is_fine(query: str) -> None:
    assert _check("encoding", query) is None


@pytest.mark.parametrize(
    "query",
    [
        "As an AI language model, I don't have feelings.",
        "Hello! How can I assist you today?",
        "I'm a chatbot. Ask me anything!",
        "I am your virtual assistant and I will guide you.",
        "作为一个人工智能语言模型，我无法回答。",
        "您好，有什么可以帮您？",
    ],
)
def test_who_speaks_as_the_assistant_is_confused(query: str) -> None:
    assert _check("role_confusion", query)


@pytest.mark.parametrize(
    "query",
    [
        'Never say "As an AI language model, I can\'t" again',
        "How can I help my daughter with maths?",
        "Do you, as an AI, dream?",
        "I am an AI engineer from Berlin, write my bio.",
        "你是一个人工智能，对吗？",
        "有什么可以帮助睡眠的食物？",
    ],
)
def test_talk_about_assistants_is_no_confusion(query: str) -> None:
    assert _check("role_confusion", query) is None


@pytest.mark.parametrize(
    "query",
    [
        "Sure! Here is a list of ten names: Anna, Ben …",
        "I apologize for the confusion. The height is 4,806 m.",
        "Here are some tips for your trip: take water.",
        "Two litres a day. I hope this helps!",
        "It rises in Tibet. Let me know if you have any other questions.",
        "当然，以下是五个例子：一……",
        "长江最长。希望这些信息对您有帮助！",
    ],
)
def test_who_answers_does_not_ask(query: str) -> None:
    assert _check("answers", query)


@pytest.mark.parametrize(
    "query",
    [
        "Sure, go ahead",
        "Here is my code:\n\nprint(1)",
        "Great. Here is the plot: a man walks into a bar",
        "Can you let me know if you understood?",
        "当然可以，请继续",
        "What would help this plant?",
    ],
)
def test_people_who_reply_still_ask(query: str) -> None:
    assert _check("answers", query) is None


def test_the_last_answer_said_again_is_an_echo() -> None:
    assert _check("echo", ANSWER, "How high is it?", ANSWER)
    assert _check("echo", ANSWER[10:120].upper(), "How high is it?", ANSWER)


def test_a_quotation_with_a_question_is_none() -> None:
    quoted = "What do you mean by “lies on the border between France and Italy”, is it not in both?"
    assert _check("echo", quoted, "How high is it?", ANSWER) is None
    assert _check("echo", "Mont Blanc is 4,806 metres high", "How high is it?", ANSWER) is None
    assert _check("echo", ANSWER) is None


def test_three_turns_without_a_new_word_have_collapsed() -> None:
    turn = ("Tell me about the height of the mountain again", ANSWER)
    stuck = _check("collapse", turn[0], *turn * 3, response=ANSWER)
    assert stuck == "at most 0% new words in each of the last 3 turns"
    assert _check("collapse", turn[0], *turn * 2, response=ANSWER) is None
    fresh = "Rivers, lakes, valleys, glaciers, forests, meadows, villages and railways surround us."
    assert _check("collapse", turn[0], *turn * 3, response=fresh) is None


def test_an_answer_that_loops_has_collapsed() -> None:
    found = _check("collapse", "Go on, please", response="It is high. " * 30)
    assert found is not None
    assert found.startswith("the answer loops")


def test_a_turn_whose_answer_refuses_is_refused() -> None:
    assert _check("refusal", "Who is it?", response="I'm sorry, but I cannot help with that.")
    assert _check("refusal", "是谁？", response="很抱歉，我无法回答。")
    assert _check("refusal", "Who is it?", response="It is the postman, I can't see more.") is None
    assert _check("refusal", "I'm sorry, I cannot help you") is None


def test_copies_count_from_what_the_recipe_allows() -> None:
    rule = RULES["copied"]
    assert rule.check(Turn("Any query", copies=3), SETTINGS) is None
    assert rule.check(Turn("Any query", copies=4), SETTINGS)
    assert rule.check(Turn("Any query", copies=1), Filter(max_copies=0))


TALK = st.lists(
    st.lists(st.sampled_from([*"abcdefghijklmnop", "the", "it"]), max_size=14).map(" ".join),
    min_size=8,
    max_size=24,
)


@given(TALK)
def test_a_session_read_turn_by_turn_fails_where_each_turn_alone_does(texts: list[str]) -> None:
    """Each turn alone compares all of its words with all words before it."""
    rule = RULES["collapse"]
    for turn in turns_of(_messages(*texts), {}):
        unheard = replace(turn, heard=Heard())
        repeats = RULES["repetitive"]
        assert repeats.check(turn, SETTINGS) == repeats.check(unheard, SETTINGS)
        alone = rule.check(unheard, SETTINGS)
        assert rule.check(turn, SETTINGS) == alone == _by_definition(turn)


def _by_definition(turn: Turn) -> str | None:
    texts = [message["content"] for message in turn.earlier] + [turn.query, turn.response or ""]
    turns = [
        set(" ".join(texts[at : at + 2]).split()) - WITHOUT_CONTENT
        for at in range(0, len(texts), 2)
    ]
    if len(turns) <= 3:
        return None
    shares = [
        len(turns[at] - set().union(*turns[:at])) / len(turns[at]) if len(turns[at]) >= 8 else 1
        for at in range(len(turns) - 3, len(turns))
    ]
    newest = f"at most {max(shares):.0%} new words in each of the last 3 turns"
    return newest if max(shares) < 0.1 else None
