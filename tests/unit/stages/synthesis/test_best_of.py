"""Of several samples the one goes on that a user would most likely write."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parrot_core.engines.types import Completion, ContextFull, EngineDied, Message, Usage
from parrot_core.lake.stage_plan import ShardPlan, Slice
from parrot_core.recipe import Synthesize
from parrot_core.stages.synthesis.best_of import best_of, merit
from parrot_core.stages.synthesis.stage import SynthesizeStage
from parrot_core.text.control_tokens import END_OF_SESSION
from tests.support.lakes.scripted_model import ScriptedModel, cut
from tests.support.lakes.stage_work import FakeWork, small_recipe

TALK: list[Message] = [
    {"role": "user", "content": "How do I bake a sourdough bread?"},
    {"role": "assistant", "content": "Feed the starter, mix the dough, let it rise, then bake it."},
]
SETTINGS = Synthesize(best_of=3)


def said(text: str) -> Completion:
    return Completion(text, "stop", Usage(1, 1, 1), "asker", "m", "key")


def best(*texts: str | Completion) -> str:
    samples = [said(text) if isinstance(text, str) else text for text in texts]
    return best_of(samples, TALK, "en", SETTINGS).text


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        ("How long should it rise?", "Sure, here is a poem about bread."),  # an assistant's words
        ("How long should it rise?", "How do I bake a sourdough bread?"),  # asked before
        ("Which flour suits the starter?", "What is the capital of Mongolia?"),  # another topic
        ("How long should it rise?", "Name three rivers of Norway and their lengths."),
        ("Which flour suits the starter?", "dough " * 120),
    ],
)
def test_the_better_query_wins_whichever_comes_first(better: str, worse: str) -> None:
    assert best(better, worse) == best(worse, better) == better


def test_a_cut_or_empty_sample_never_wins_over_one_that_can_be_used() -> None:
    assert best(cut("How long should the dough"), "", "Name a river.") == "Name a river."


def test_the_first_sample_decides_whether_the_session_ends() -> None:
    assert best(END_OF_SESSION, "How long should it rise?") == END_OF_SESSION
    assert best("Name a river.", END_OF_SESSION) == "Name a river."


@given(st.text(max_size=300))
def test_any_text_has_a_merit_within_bounds(text: str) -> None:
    assert 0 <= merit(said(text), TALK, "en", SETTINGS) <= 4.6


def synthesized(folder: Path, asker: ScriptedModel) -> FakeWork:
    recipe = small_recipe(synthesize={"max_turns": 2, "min_turns": 1, "best_of": 3})
    answerer = ScriptedModel(lambda *_: TALK[1]["content"], "answerer")
    rows = [{"id": "s", "source_ids": ["s"], "language": "en", "query": TALK[0]["content"]}]
    plan = ShardPlan(0, (Slice("seeds", "v", 0, 0, 1),))
    engines = {"asker": asker, "answerer": answerer}
    work = FakeWork(recipe, folder, plan=plan, rows=rows, engines=engines)
    SynthesizeStage().process(work)
    work.assert_accounts_close()
    return work


def test_each_query_is_sampled_so_often_and_the_manifest_says_how_often_another_won(
    tmp_path: Path,
) -> None:
    def script(_: Sequence[Message], sample: str) -> str | BaseException:
        if sample.endswith("/ask"):
            return "Name three rivers of Norway."
        return ContextFull("full") if sample.endswith("/2") else "How long should the dough rise?"

    asker = ScriptedModel(script, "asker")
    work = synthesized(tmp_path, asker)
    assert work.emitted[0]["messages"][2]["content"] == "How long should the dough rise?"
    assert asker.samples == ["s/t2/ask", "s/t2/ask/2", "s/t2/ask/3"]
    assert work.receipt("session").metrics["best_of"] == {"asked": 1, "not the first": 1}


def test_where_all_samples_fail_the_session_ends_as_with_one(tmp_path: Path) -> None:
    work = synthesized(tmp_path, ScriptedModel(lambda *_: ContextFull("full"), "asker"))
    assert work.emitted[0]["end_reason"] == "context_full"


def test_what_concerns_more_than_a_row_stops_the_shard(tmp_path: Path) -> None:
    def script(_: Sequence[Message], sample: str) -> str | BaseException:
        return EngineDied("no") if sample.endswith("/3") else "Why?"

    with pytest.raises(EngineDied):
        synthesized(tmp_path, ScriptedModel(script, "asker"))
