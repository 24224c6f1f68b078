from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parrot_core.engines.types import Message
from parrot_core.stages.capo.strategies.hallucination import (
    ATTEMPTS,
    GUESS_TOKENS,
    noun_phrase,
)
from parrot_core.stages.fitness import Unfit
from tests.support.lakes.negatives import QUERY, write
from tests.support.lakes.scripted_model import ScriptedModel


def test_it_guesses_first_without_the_history_and_then_answers_on_the_guess() -> None:
    def script(messages: Sequence[Message], sample: str) -> str:
        return '"a giraffe".\nbecause …' if "/guess/" in sample else "About 5 metres."

    model = ScriptedModel(script)
    negative = write("hallucination", model)
    assert (negative.evidence, negative.evidence_by) == ("a giraffe", "writer")
    assert negative.text == "About 5 metres."
    guess, answer = model.calls
    assert guess[2].max_tokens == GUESS_TOKENS
    assert answer[2].max_tokens == 200
    for _, messages, _ in model.calls:
        said = "\n".join(message["content"] for message in messages)
        assert "Eiffel" not in said
        assert "tomatoes" not in said
    assert "a giraffe" in answer[1][-2]["content"]
    assert answer[1][-1]["content"] == QUERY.query


@pytest.mark.parametrize("reply", [" \n", "It refers to a person.", "I don't know", "the"])
def test_a_guess_that_is_no_noun_phrase_is_asked_for_again_and_then_costs_the_pair(
    reply: str,
) -> None:
    model = ScriptedModel(lambda _, __: reply)
    with pytest.raises(Unfit) as caught:
        write("hallucination", model)
    assert caught.value.reason == "evidence_unreadable"
    assert model.samples == [f"s/t3/hallucination/guess/{attempt}" for attempt in range(ATTEMPTS)]


def test_a_guess_copied_from_the_instructions_examples_is_asked_for_again() -> None:
    copy, own = "the third of three phones", "a giraffe"
    model = ScriptedModel(lambda _, sample: own if sample.endswith("guess/1") else copy)
    assert write("hallucination", model).evidence == own
    stubborn = ScriptedModel(lambda _, __: copy)
    assert write("hallucination", stubborn).evidence == copy
    assert "s/t3/hallucination/guess/1" in stubborn.samples
    fitting = ScriptedModel(lambda _, __: copy)
    write("hallucination", fitting, query="Which phone is it?", response="The red one.")
    assert "s/t3/hallucination/guess/1" not in fitting.samples


def test_a_guess_that_may_be_right_is_asked_for_again_and_is_no_hallucination() -> None:
    right, wrong = "a famous tower", "a giraffe"
    with pytest.raises(Unfit) as caught:
        write("hallucination", ScriptedModel(lambda _, __: right))
    assert caught.value.reason == "evidence_fits"
    model = ScriptedModel(lambda _, sample: wrong if sample.endswith("guess/1") else right)
    assert write("hallucination", model).evidence == wrong


@pytest.mark.parametrize(
    ("reply", "phrase"),
    [
        ("a wild mushroom", "a wild mushroom"),
        ("“the second of two phones.”", "the second of two phones"),
        ("Guess: a speech for a wedding", "a speech for a wedding"),
        ("- a recipe", "a recipe"),
        ("一种野生蘑菇", "一种野生蘑菇"),
        ("It is a mushroom", None),
        ("The message talks about a mushroom", None),
        ("a mushroom that is safe", None),
        ("Could you say more?", None),
        ("它指的是蘑菇", None),
        ("word " * 30, None),
        ("", None),
    ],
)
def test_a_noun_phrase_is_told_from_a_sentence(reply: str, phrase: str | None) -> None:
    assert noun_phrase(reply) == phrase


@given(st.text())
def test_whatever_a_writer_says_a_guess_is_one_short_line(reply: str) -> None:
    guess = noun_phrase(reply)
    assert guess is None or (0 < len(guess) <= 80 and len(guess.splitlines()) == 1)
