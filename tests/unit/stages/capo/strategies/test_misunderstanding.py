from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parrot_core.engines.types import Message
from parrot_core.stages.capo.negatives import content_words
from parrot_core.stages.capo.strategies.misunderstanding import other_matter, passages_of
from parrot_core.stages.fitness import Unfit
from tests.support.lakes.negatives import HISTORY, QUERY, write
from tests.support.lakes.scripted_model import ScriptedModel


def test_it_answers_about_the_passage_that_the_writer_picked() -> None:
    model = ScriptedModel(lambda _, sample: "1" if sample.endswith("/pick") else "Very sunny.")
    negative = write("misunderstanding", model)
    assert negative.evidence == "Plant seedlings in a sunny place."
    assert negative.evidence_by == "writer"
    assert negative.text == "Very sunny."
    pick, answer = model.calls
    said = "\n".join(message["content"] for message in pick[1])
    assert "Eiffel" not in said  # the last turn is what the query is about
    assert "Plant seedlings in a sunny place." in answer[1][-3]["content"]
    assert answer[1][-1]["content"] == QUERY.query


@pytest.mark.parametrize("reply", ["", "0", "99", "none of them has to do with it at all, 2"])
def test_a_pick_that_cannot_be_read_costs_the_pair(reply: str) -> None:
    model = ScriptedModel(lambda _, __: reply)
    with pytest.raises(Unfit) as caught:
        write("misunderstanding", model)
    assert caught.value.reason == "evidence_unreadable"
    assert model.samples == ["s/t3/misunderstanding/pick"]


def test_at_turn_two_there_is_none_unless_there_is_other_matter() -> None:
    model = ScriptedModel(lambda *_: "1")
    with pytest.raises(Unfit) as caught:
        write("misunderstanding", model, turn=2, history=HISTORY[2:3])
    assert caught.value.reason == "no_other_matter"
    assert model.calls == []
    other = (*HISTORY[2:3], Message(role="assistant", content="Also, cats like warm milk a lot."))
    negative = write("misunderstanding", model, turn=2, history=other)
    assert (negative.evidence, negative.evidence_by) == (other[1]["content"], "seed")
    assert model.samples == ["s/t3/misunderstanding/answer"]  # one passage: nothing to pick from


def test_a_passage_that_shares_a_word_with_the_chosen_answer_may_be_its_antecedent() -> None:
    about = "The tomatoes need a sunny place."
    assert "Plant seedlings in a sunny place." in other_matter(QUERY)
    meant = type(QUERY)("s/t3", "en", 3, HISTORY, "How tall is it?", about)
    assert "Plant seedlings in a sunny place." not in other_matter(meant)


def test_an_abbreviation_is_no_passage() -> None:
    text = "Dr. Smith lives in St. Louis, e.g. near the river.\nNo. 5"
    assert passages_of([{"role": "assistant", "content": text}]) == [
        "Dr. Smith lives in St. Louis, e.g. near the river."
    ]


messages = st.builds(
    Message, role=st.sampled_from(["user", "assistant", "system"]), content=st.text()
)


@given(st.lists(messages, max_size=6))
def test_every_passage_occurs_in_the_history_word_for_word(history: Sequence[Message]) -> None:
    passages = passages_of(history)
    assert len(set(passages)) == len(passages)
    for passage in passages:
        assert len(content_words(passage)) >= 3
        assert len(passage) <= 300
        assert any(passage in message["content"] for message in history)
