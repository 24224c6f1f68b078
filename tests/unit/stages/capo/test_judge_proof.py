import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from parrot_core.context.labelled import labelled_queries
from parrot_core.engines.types import Message, RunError
from parrot_core.lake.stage_plan import ShardPlan
from parrot_core.recipe import Select
from parrot_core.stages.capo.judge_proof import prove_judge
from parrot_core.stages.capo.select import SelectStage
from tests.support.lakes.scripted_model import Script, ScriptedModel
from tests.support.lakes.stage_work import FakeWork, small_recipe

LABELS = {query.query: query.depends for query in labelled_queries("test")}


def knows(messages: Sequence[Message], _: str) -> str:
    found = next(text for text in LABELS if f"New message: {text}" in messages[-1]["content"])
    return "YES" if LABELS[found] else "NO"


@pytest.mark.parametrize(
    ("script", "kappa", "yes"),
    [(knows, 1.0, 0.5), (lambda *_: "YES", 0.0, 1.0), (lambda *_: "Perhaps.", 0.0, 0.0)],
)
def test_agreement_beyond_chance_and_the_share_of_yes_are_figures(
    script: Script, kappa: float, yes: float
) -> None:
    proof = asyncio.run(prove_judge(ScriptedModel(script), Select(), 1)).as_json()
    assert (proof["asked"], proof["kappa"], proof["yes_share"]) == (40, kappa, yes)


def worked(folder: Path, **settings: object) -> FakeWork:
    work = FakeWork(
        small_recipe(select=settings),
        folder,
        rows=[],
        engines={"judge": ScriptedModel(lambda *_: "YES")},
        plan=ShardPlan(0, params={"quota": 1}),
    )
    SelectStage().process(work)
    return work


def test_a_judge_that_says_yes_to_all_is_warned_of(tmp_path: Path) -> None:
    work = worked(tmp_path)
    assert work.metrics["judge_proof"]["yes_share"] == 1.0
    [warning] = work.warnings
    assert "says yes to 40" in warning


def test_by_recipe_it_stops_the_run(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="take a stronger judge"):
        worked(tmp_path, weak_judge="stop")


def test_a_recipe_may_believe_its_judge(tmp_path: Path) -> None:
    assert "judge_proof" not in worked(tmp_path, proof_queries=0).metrics
