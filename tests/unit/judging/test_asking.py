import asyncio

import pytest

from parrot_core.engines.types import Completion, LimitUsedUp, Usage
from parrot_core.judging.asking import THINKING_TOKENS, ask_until_read, complete_thinking
from parrot_core.recipe import Sampling
from tests.support.lakes.scripted_model import ScriptedModel, cut

SHORT = Sampling(temperature=0, max_tokens=16)


def read(judge: ScriptedModel, sampling: Sampling = SHORT) -> tuple[str, str | None]:
    asked = [{"role": "user", "content": "Yes or no?"}]
    return asyncio.run(
        ask_until_read(
            judge,
            asked,
            sampling,
            lambda text: text if text in ("yes", "no") else None,
            sample="q",
            attempts=2,
        )
    )


@pytest.mark.parametrize("short", [LimitUsedUp("nothing but thinking"), cut("ye", "Well, it")])
def test_a_judge_whose_limit_went_into_thinking_gets_room_for_it(
    short: Completion | LimitUsedUp,
) -> None:
    judge = ScriptedModel(lambda _, sample: "yes" if sample.endswith("/roomy") else short)
    assert read(judge) == ("yes", "yes")
    assert judge.samples == ["q/0", "q/0/roomy"]
    limits = [sampling.max_tokens for _, _, sampling in judge.calls]
    assert limits == [16, THINKING_TOKENS]
    assert {sampling.temperature for _, _, sampling in judge.calls} == {0}


def test_a_judge_that_rambles_without_thinking_gets_no_room() -> None:
    judge = ScriptedModel(lambda *_: cut("It depends on what you"))
    assert read(judge) == ("It depends on what you", None)
    assert judge.samples == ["q/0", "q/1"]


def test_thinking_is_not_read_as_the_verdict() -> None:
    said = Completion("yes", "stop", Usage(), "e", "m", "key", thinking="no, or is it?")
    assert read(ScriptedModel(lambda *_: said)) == ("yes", "yes")


def test_a_limit_that_has_room_already_is_final() -> None:
    model = ScriptedModel(lambda *_: LimitUsedUp("nothing but thinking"))
    roomy = Sampling(max_tokens=THINKING_TOKENS)
    with pytest.raises(LimitUsedUp):
        asyncio.run(complete_thinking(model, [], roomy, sample="q"))
    assert model.samples == ["q"]
