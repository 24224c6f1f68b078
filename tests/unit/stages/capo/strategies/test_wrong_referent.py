from collections.abc import Sequence

import pytest

from parrot_core.engines.types import Message
from parrot_core.stages.fitness import Unfit
from tests.support.lakes.negatives import HISTORY, write
from tests.support.lakes.scripted_model import ScriptedModel


def script(messages: Sequence[Message], sample: str) -> str:
    if sample.endswith("/rewrite"):
        return "How tall is the Eiffel Tower?"
    return "He was 1.70 metres tall."


def history() -> tuple[Message, ...]:
    return (*HISTORY[2:3], Message(role="user", content="It was built by Gustave Rossi."))


def test_the_completed_query_is_answered_with_another_entity_of_the_history() -> None:
    model = ScriptedModel(script)
    negative = write("wrong_referent", model, history=history())
    assert negative.evidence == "the Eiffel Tower → Gustave Rossi"
    assert negative.evidence_by == "seed"
    assert negative.text == "He was 1.70 metres tall."
    _, answer = model.calls
    assert answer[1] == [{"role": "user", "content": "How tall is Gustave Rossi?"}]


def test_a_query_that_needs_no_history_has_no_referent_to_get_wrong() -> None:
    with pytest.raises(Unfit) as caught:
        write("wrong_referent", ScriptedModel(lambda *_: "How tall is it?"))
    assert caught.value.reason == "not_dependent"


def test_without_another_entity_there_is_no_pair() -> None:
    with pytest.raises(Unfit) as caught:
        write("wrong_referent", ScriptedModel(script), history=HISTORY[2:3])
    assert caught.value.reason == "no_other_matter"
