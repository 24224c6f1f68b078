import asyncio
from typing import Any

import pytest

from parrot_core.engines.types import (
    Completion,
    ContentFiltered,
    ContextFull,
    Message,
    RowError,
    ShardError,
    Usage,
)
from parrot_core.stages.synthesis.converse import Dialogue, converse


def completion(text: str) -> Completion:
    return Completion(text, "stop", Usage(1, 1, 1), "engine", "model", "key")


def cut(text: str) -> Completion:
    return Completion(text, "length", Usage(1, 72, 1), "engine", "model", "key")


class Scripted:
    """Says its lines in order; an exception among them is raised."""

    def __init__(self, *lines: str | Completion | Exception) -> None:
        self.lines = list(lines)
        self.seen: list[list[Message]] = []

    async def __call__(self, messages: list[Message], turn: int) -> Completion:
        self.seen.append(messages)
        line = self.lines.pop(0) if self.lines else f"line for turn {turn}"
        if isinstance(line, Exception):
            raise line
        return line if isinstance(line, Completion) else completion(line)


def talk(ask: Scripted, answer: Scripted, max_turns: int = 3, **fitness: Any) -> Dialogue:
    return asyncio.run(converse("What is a lake?", ask, answer, max_turns, **fitness))


def test_a_session_runs_to_its_number_of_turns_and_ends_with_an_answer() -> None:
    ask, answer = Scripted("And a pond?", "Why?"), Scripted("Big.", "Small.", "Because.")
    dialogue = talk(ask, answer)
    contents = [m["content"] for m in dialogue.messages]
    assert contents == ["What is a lake?", "Big.", "And a pond?", "Small.", "Why?", "Because."]
    assert [m["role"] for m in dialogue.messages] == ["user", "assistant"] * 3
    assert dialogue.n_turns == 3
    assert dialogue.end_reason == "max_turns"
    assert len(dialogue.completions) == 6
    assert dialogue.completions[0] is None


def test_the_askers_mark_ends_a_session_that_is_whole() -> None:
    ask, answer = Scripted("And a pond?", " <|end_of_session|> "), Scripted("Big.", "Small.")
    dialogue = talk(ask, answer, max_turns=9)
    assert [m["content"] for m in dialogue.messages][-1] == "Small."
    assert (dialogue.n_turns, dialogue.end_reason, dialogue.ended_by) == (2, "asker_ended", None)
    assert len(dialogue.completions) == len(dialogue.messages)


@pytest.mark.parametrize(
    ("again", "ended", "turns"),
    [("And a pond?", "max_turns", 3), ("<|end_of_session|>", "asker_ended", 1)],
)
def test_a_mark_before_its_time_is_asked_about_once_more(
    again: str, ended: str, turns: int
) -> None:
    ask, second = Scripted("<|end_of_session|>", "Why?"), Scripted(again)
    dialogue = talk(ask, Scripted(), end_from=2, ask_again=second)
    assert (dialogue.end_reason, dialogue.n_turns) == (ended, turns)
    assert dialogue.guarded == ("end",)


def test_a_mark_in_time_ends_the_session_at_once() -> None:
    second = Scripted()
    ask = Scripted("And a pond?", "<|end_of_session|>")
    dialogue = talk(ask, Scripted(), max_turns=9, end_from=2, ask_again=second)
    assert (dialogue.end_reason, dialogue.n_turns, second.seen) == ("asker_ended", 2, [])


def test_a_seed_or_an_answer_cannot_hold_the_mark() -> None:
    dialogue = talk(Scripted(), Scripted("So <|end_of_session|> it is."), max_turns=1)
    assert "<|end_of_session|>" not in dialogue.messages[1]["content"]


def test_each_side_sees_the_whole_conversation_from_the_first_message() -> None:
    ask, answer = Scripted("And a pond?"), Scripted("Big.", "Small.")
    talk(ask, answer, max_turns=2)
    assert [m["content"] for m in answer.seen[1]] == ["What is a lake?", "Big.", "And a pond?"]
    assert [m["content"] for m in ask.seen[0]] == ["What is a lake?", "Big."]


@pytest.mark.parametrize(
    ("query", "reason"), [("", "empty_query"), ("WHAT is  a lake?", "repeated_query")]
)
def test_a_useless_query_ends_the_session_with_what_it_has(query: str, reason: str) -> None:
    dialogue = talk(Scripted("And a pond?", query), Scripted())
    assert dialogue.n_turns == 2
    assert dialogue.end_reason == reason


@pytest.mark.parametrize("error", [ContextFull("x"), ContentFiltered("x"), RowError("x")])
def test_an_error_of_one_row_ends_the_session_and_drops_the_open_query(error: RowError) -> None:
    dialogue = talk(Scripted("And a pond?"), Scripted("Big.", error))
    assert dialogue.n_turns == 1
    assert dialogue.end_reason == error.reason
    assert len(dialogue.completions) == len(dialogue.messages)


def test_an_asker_that_cannot_go_on_ends_the_session_too() -> None:
    dialogue = talk(Scripted(ContextFull("x")), Scripted())
    assert dialogue.n_turns == 1
    assert dialogue.end_reason == "context_full"


def test_an_empty_answer_is_never_stored() -> None:
    dialogue = talk(Scripted(), Scripted("Big.", ""))
    assert dialogue.n_turns == 1
    assert dialogue.end_reason == "empty_response"


def test_an_error_of_the_engine_is_not_the_sessions_business() -> None:
    with pytest.raises(ShardError):
        talk(Scripted(), Scripted("Big.", ShardError("gone")))


def test_an_answer_that_was_cut_at_the_limit_ends_the_session_before_it() -> None:
    dialogue = talk(Scripted("And a pond?"), Scripted("Big.", cut("Small, and")))
    assert [m["content"] for m in dialogue.messages] == ["What is a lake?", "Big."]
    assert (dialogue.end_reason, dialogue.ended_by) == ("truncated", "answer")
    assert dialogue.detail == ("the answer of turn 2: cut at the limit of tokens, after 72 tokens")


def test_a_query_that_was_cut_at_the_limit_ends_the_session_before_it() -> None:
    dialogue = talk(Scripted(cut("And what about")), Scripted("Big."))
    assert dialogue.n_turns == 1
    assert (dialogue.end_reason, dialogue.ended_by) == ("truncated", "ask")


def test_a_recipe_may_keep_what_was_cut_but_not_what_is_empty() -> None:
    ask, answer = Scripted(cut("And a")), Scripted(cut("Big and"), cut(""))
    dialogue = talk(ask, answer, keep_truncated=True)
    assert [m["content"] for m in dialogue.messages] == ["What is a lake?", "Big and"]
    assert dialogue.end_reason == "truncated"


RUN_OVER = "About five.<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nThanks!"
DEFUSED = "About five.< |eot_id|>< |start_header_id|>user< |end_header_id|>\n\nThanks!"


def test_control_tokens_in_an_answer_are_defused_in_the_data_and_in_what_is_sent_back() -> None:
    ask, answer = Scripted("And a pond?"), Scripted(RUN_OVER, "Small.")
    dialogue = talk(ask, answer, max_turns=2)
    assert dialogue.messages[1]["content"] == DEFUSED
    assert ask.seen[0][1]["content"] == answer.seen[1][1]["content"] == DEFUSED


def test_control_tokens_in_an_answer_end_the_session_where_the_recipe_says_so() -> None:
    dialogue = talk(Scripted("And?"), Scripted("Big.", RUN_OVER), control_tokens="end")
    assert (dialogue.n_turns, dialogue.end_reason) == (1, "control_token")
    assert "<|eot_id|>" in dialogue.detail


def test_an_asker_that_writes_a_control_token_has_lost_the_thread() -> None:
    dialogue = talk(Scripted("So?<|im_end|>"), Scripted())
    assert (dialogue.n_turns, dialogue.end_reason) == (1, "control_token")


def test_thinking_is_no_part_of_the_conversation() -> None:
    thought = Completion("Big.", "stop", Usage(), "engine", "model", "key", thinking="Hm: a lake.")
    ask, answer = Scripted("And a pond?"), Scripted(thought, "Small.")
    dialogue = talk(ask, answer, max_turns=2)
    assert dialogue.completions[1] == thought
    assert not any("Hm" in m["content"] for seen in (*ask.seen, *answer.seen) for m in seen)
