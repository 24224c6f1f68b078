import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parrot_core.engines.types import Message
from parrot_core.recipe import Sampling
from parrot_core.stages.capo.negatives import (
    GUESS_TOKENS,
    ContextQuery,
    Negative,
    Strategist,
    hallucinate,
    misunderstand,
    neglect,
    passages_of,
)
from tests.support.lakes.scripted_model import ScriptedModel

TURNS = (
    ("How do I grow tomatoes?", "Plant them in a sunny place. Water them often."),
    ("What is the Eiffel Tower?", "An iron tower in Paris.\nIt opened in 1889."),
)
HISTORY: tuple[Message, ...] = tuple(
    message
    for query, answer in TURNS
    for message in (
        Message(role="user", content=query),
        Message(role="assistant", content=answer),
    )
)
QUERY = ContextQuery("s/t3", "en", 3, HISTORY, "How tall is it?", "It is 330 metres tall.")


def write(strategy: Strategist, model: ScriptedModel, seed: int = 7) -> Negative:
    async def main() -> Negative:
        return await strategy(QUERY, model, Sampling(max_tokens=200), seed)

    return asyncio.run(main())


def text_of(messages: Sequence[Message]) -> str:
    return "\n".join(message["content"] for message in messages)


def test_neglect_answers_the_query_with_no_history_at_all() -> None:
    model = ScriptedModel(lambda _, __: " The tallest man was 2.72 m. ")
    negative = write(neglect, model)
    assert negative.text == "The tallest man was 2.72 m."
    assert negative.evidence is None
    assert [messages for _, messages, _ in model.calls] == [
        [{"role": "user", "content": QUERY.query}]
    ]


def test_hallucination_guesses_first_without_the_history_and_then_answers_on_the_guess() -> None:
    def script(messages: Sequence[Message], sample: str) -> str:
        return '"a tall giraffe".\nbecause …' if "/guess/" in sample else "About 5 metres."

    model = ScriptedModel(script)
    negative = write(hallucinate, model)
    assert negative.evidence == "a tall giraffe"
    assert negative.evidence_by == "writer"
    assert negative.text == "About 5 metres."
    guess, answer = model.calls
    assert guess[2].max_tokens == GUESS_TOKENS
    assert answer[2].max_tokens == 200
    for _, messages, _ in model.calls:
        assert "Eiffel" not in text_of(messages)
        assert "tomatoes" not in text_of(messages)
    assert "a tall giraffe" in text_of(answer[1])
    assert answer[1][-1]["content"] == QUERY.query


def test_hallucination_without_a_guess_asks_again_and_then_has_no_negative() -> None:
    model = ScriptedModel(lambda _, __: " \n")
    assert write(hallucinate, model).text == ""
    assert model.samples == ["s/t3/hallucination/guess/0", "s/t3/hallucination/guess/1"]


def test_misunderstanding_answers_about_the_passage_that_the_writer_picked() -> None:
    model = ScriptedModel(lambda _, sample: "2" if sample.endswith("/pick") else "Very sunny.")
    negative = write(misunderstand, model)
    assert negative.evidence == "Plant them in a sunny place."
    assert negative.evidence_by == "writer"
    assert negative.text == "Very sunny."
    pick, answer = model.calls
    assert "Eiffel" not in text_of(pick[1])  # the last turn is what the query is about
    assert "Plant them in a sunny place." in text_of(answer[1])
    assert answer[1][-1]["content"] == QUERY.query


@pytest.mark.parametrize("reply", ["", "0", "99", "none of them has to do with it at all, 2"])
def test_a_pick_that_cannot_be_read_is_replaced_by_a_seeded_one_that_says_so(reply: str) -> None:
    def script(_: Sequence[Message], sample: str) -> str:
        return reply if sample.endswith("/pick") else "Hm."

    first = write(misunderstand, ScriptedModel(script))
    assert first.evidence_by == "seed"
    assert first.evidence is not None
    assert first.evidence in text_of(HISTORY[:2])
    assert write(misunderstand, ScriptedModel(script)) == first
    others = {write(misunderstand, ScriptedModel(script), seed).evidence for seed in range(20)}
    assert len(others) > 1


def test_with_one_turn_of_history_the_passages_are_from_that_turn() -> None:
    assert passages_of(HISTORY[2:]) == [
        "What is the Eiffel Tower?",
        "An iron tower in Paris.",
        "It opened in 1889.",
    ]


@given(
    st.lists(
        st.builds(
            Message, role=st.sampled_from(["user", "assistant", "system"]), content=st.text()
        ),
        max_size=6,
    )
)
def test_every_passage_occurs_in_the_history_word_for_word(history: list[Message]) -> None:
    passages = passages_of(history)
    assert len(set(passages)) == len(passages)
    for passage in passages:
        assert passage
        assert len(passage) <= 300
        assert any(passage in message["content"] for message in history)
