"""The second answer after the same history: sampled as the first was, and never a negative."""

from pathlib import Path

from parrot_core.engines.types import Completion
from parrot_core.stages.base import Row
from parrot_core.stages.capo.stage import CapoStage
from tests.support.lakes.scripted_model import ScriptedModel, cut
from tests.support.lakes.stage_work import FakeWork, small_recipe

HISTORY = [
    {"role": "user", "content": "What is the Eiffel Tower?"},
    {"role": "assistant", "content": "An iron tower in Paris."},
]


def query(name: str) -> Row:
    return {
        "id": name,
        "language": "en",
        "turn": 2,
        "history": HISTORY,
        "query": "How tall is it?",
        "response": "It is 330 metres tall.",
        "response_finish_reason": "stop",
    }


def test_a_querys_pairs_carry_a_second_answer_sampled_and_checked_as_the_first_was(
    tmp_path: Path,
) -> None:
    seconds: dict[str, str | Completion] = {
        "a/placebo": "330 metres, antenna included.",
        "b/placebo": cut("Some 330"),
        "c/placebo": "It is 330 metres tall.",
        "d/placebo": "How tall is it?",
    }
    writer = ScriptedModel(lambda _, sample: "As tall as a giraffe.", "writer")
    answerer = ScriptedModel(lambda _, sample: seconds[sample], "answerer")
    plain = {"kind": "openai", "model": "m", "base_url": "http://127.0.0.1:9/v1"}
    recipe = small_recipe(
        engines={"asker": plain, "answerer": plain, "writer": plain, "judge": plain},
        capo={"writer": "writer", "strategies": ["neglect"], "placebo": True},
        synthesize={"system": "Be brief.", "answer": {"temperature": 0.3}},
    )
    rows = [query(name) for name in "abcd"]
    engines = {"writer": writer, "answerer": answerer}
    work = FakeWork(recipe, tmp_path, rows=rows, engines=engines)
    CapoStage().process(work)
    assert [row["placebo"] for row in work.emitted] == [seconds["a/placebo"], None, None, None]
    _, messages, sampling = answerer.calls[0]
    assert [m["content"] for m in messages] == [
        "Be brief.",
        *(m["content"] for m in HISTORY),
        "How tall is it?",
    ]
    assert sampling.temperature == 0.3
