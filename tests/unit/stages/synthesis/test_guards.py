import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parrot_core.engines.types import Completion, Message, Usage
from parrot_core.recipe import Synthesize
from parrot_core.stages.synthesis.converse import Dialogue, converse
from parrot_core.stages.synthesis.guards import query_problem

ALL = ("repeat", "echo", "role", "length")
TALK: list[Message] = [
    {"role": "user", "content": "What is a lake?"},
    {"role": "assistant", "content": "A lake is a large body of water, often fed by rivers."},
]


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("And a pond?", ""),
        ("what is a LAKE", "repeat"),
        ("A large body of water", "echo"),
        ("Rivers?", ""),
        ("Sure, here is a poem about lakes.", "role"),
        ("As an AI language model I can't swim.", "role"),
        ("当然可以！", "role"),
        ("I am sure that it is deep, isn't it?", ""),
        ("word " * 30, "length"),
    ],
)
def test_what_no_user_would_say_next_is_seen(query: str, problem: str) -> None:
    settings = Synthesize(guards=ALL, query_words=(1, 20))
    assert query_problem(query, TALK, settings) == problem
    assert query_problem(query, TALK, Synthesize()) == ""  # the paper has no guards


@given(st.text(max_size=80))
def test_only_guards_that_are_on_object(query: str) -> None:
    for guard in ALL:
        assert query_problem(query, TALK, Synthesize(guards=(guard,))) in ("", guard)


def talk(first: str, second: str) -> tuple[Dialogue, int]:
    asked: list[str] = []

    def says(text: str) -> Completion:
        return Completion(text, "stop", Usage(1, 1, 1), "e", "m", "k")

    async def ask(messages: list[Message], turn: int) -> Completion:
        return says(first)

    async def again(messages: list[Message], turn: int) -> Completion:
        asked.append(second)
        return says(second)

    async def answer(messages: list[Message], turn: int) -> Completion:
        return says("Water.")

    settings = Synthesize(guards=ALL)
    found = asyncio.run(
        converse(
            "What is a lake?",
            ask,
            answer,
            2,
            guard=lambda query, before: query_problem(query, before, settings),
            ask_again=again,
        )
    )
    return found, len(asked)


def test_a_query_that_a_guard_objects_to_is_asked_for_once_more() -> None:
    dialogue, again = talk("Sure, here you are!", "And a pond?")
    assert (dialogue.end_reason, dialogue.n_turns, again) == ("max_turns", 2, 1)
    assert dialogue.guarded == ("role",)
    assert dialogue.messages[2]["content"] == "And a pond?"


def test_the_second_time_it_ends_the_session_before_it() -> None:
    dialogue, again = talk("Sure, here you are!", "Certainly.")
    assert (dialogue.end_reason, dialogue.ended_by, again) == ("guard_role", "ask", 1)
    assert [m["content"] for m in dialogue.messages] == ["What is a lake?", "Water."]


def test_a_good_query_is_asked_for_once() -> None:
    dialogue, again = talk("And a pond?", "never")
    assert (dialogue.end_reason, dialogue.guarded, again) == ("max_turns", (), 0)
