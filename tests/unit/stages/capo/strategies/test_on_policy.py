import pytest

from parrot_core.stages.fitness import Unfit
from tests.support.lakes.negatives import HISTORY, QUERY, write
from tests.support.lakes.scripted_model import ScriptedModel


def script(verdict: str) -> ScriptedModel:
    replies = {
        "rewrite": "How tall is the Eiffel Tower?",
        "answer": "Tomatoes grow two metres tall.",
        "rubric": verdict,
    }
    return ScriptedModel(lambda _, sample: next(r for n, r in replies.items() if n in sample))


def test_the_models_own_answer_after_the_history_stays_where_the_rubric_fails_it() -> None:
    model = script("NO")
    negative = write("on_policy", model)
    assert negative.text == "Tomatoes grow two metres tall."
    assert negative.evidence == "the Eiffel Tower"
    _, own, rubric = model.calls
    assert own[1] == [*HISTORY, {"role": "user", "content": QUERY.query}]
    assert rubric[2].temperature == 0
    for said in ("How tall is the Eiffel Tower?", "Tomatoes grow two metres tall."):
        assert said in rubric[1][-1]["content"]


@pytest.mark.parametrize(
    ("verdict", "reason"), [("Yes.", "negative_passes"), ("Perhaps", "unparsable_verdict")]
)
def test_an_answer_that_passes_or_cannot_be_judged_is_no_negative(
    verdict: str, reason: str
) -> None:
    with pytest.raises(Unfit) as caught:
        write("on_policy", script(verdict))
    assert caught.value.reason == reason
