import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parrot_core.engines.types import Message
from parrot_core.judging.pairwise import (
    Comparison,
    Verdict,
    compare,
    pair_messages,
    parse_verdict,
)
from parrot_core.recipe import Sampling
from tests.support.lakes.scripted_model import Script, ScriptedModel

ASKED: list[Message] = [{"role": "user", "content": "What is two and two?"}]


def saying(text: str) -> list[Message]:
    return [*ASKED, {"role": "assistant", "content": text}]


def judged(script: Script, first: str = "Four.", second: str = "Five.") -> Comparison:
    judge = ScriptedModel(script, "judge")
    return asyncio.run(compare("q", saying(first), saying(second), judge, Sampling()))


def knowing(messages: Sequence[Message], _: str) -> str:
    """A judge that knows that it is four."""
    a, b = messages[0]["content"].split("[A]\n")[1].split("[B]\n")
    right = ("Four" in a, "Four" in b)
    return {(True, False): "[[A]]", (False, True): "[[B]]"}.get(right, "[[C]]")


@pytest.mark.parametrize(
    ("first", "second", "winner"),
    [("Four.", "Five.", "first"), ("Five.", "Four.", "second"), ("Four.", "Four!", "tie")],
)
def test_the_better_answer_wins_on_either_side(first: str, second: str, winner: Verdict) -> None:
    assert judged(knowing, first, second).winner == winner


def test_a_judge_that_always_prefers_what_it_reads_first_prefers_nobody() -> None:
    outcome = judged(lambda messages, sample: "[[A]]")
    assert outcome.verdicts == ("first", "second")
    assert outcome.winner == "tie"


def test_a_win_and_a_tie_are_a_win() -> None:
    outcome = judged(lambda messages, sample: "[[A]]" if "/ab/" in sample else "[[C]]")
    assert outcome.winner == "first"


def test_a_reply_without_a_verdict_is_asked_for_again_and_never_guessed() -> None:
    asked: list[str] = []

    def unsure(messages: Sequence[Message], sample: str) -> str:
        asked.append(sample)
        return "[[B]]" if sample == "q/ab/2" else "Both are fine, A and B."

    outcome = judged(unsure)
    assert asked == [f"q/{order}/{n}" for order in ("ab", "ba") for n in range(3)]
    assert outcome.verdicts == ("second", None)
    assert not outcome.readable
    with pytest.raises(ValueError, match="no winner"):
        _ = outcome.winner


def test_what_both_share_is_shown_once_and_the_reference_last() -> None:
    text = pair_messages(saying("Four."), saying("Five."), "4")[0]["content"]
    assert text.count("What is two and two?") == 1
    assert text.index("[A]") < text.index("Four.") < text.index("[B]") < text.index("Five.")
    assert text.index("Five.") < text.index("[Reference]")


def test_conversations_that_part_early_are_shown_whole() -> None:
    more: list[Message] = [{"role": "user", "content": "Sure?"}]
    end: list[Message] = [{"role": "assistant", "content": "Yes."}]
    shown = pair_messages(saying("Four.") + more + end, saying("Five.") + more + end)
    assert shown[0]["content"].count("Sure?") == 2


@given(st.text())
def test_only_one_letter_in_brackets_is_a_verdict(noise: str) -> None:
    found = parse_verdict(noise)
    assert found is None or f"[[{found}]]" in noise.replace(" ", "")


@pytest.mark.parametrize("text", ["[[A]] or [[B]]", "A", "[A]", "[[D]]", "[[a]]", ""])
def test_anything_else_is_none(text: str) -> None:
    assert parse_verdict(text) is None
