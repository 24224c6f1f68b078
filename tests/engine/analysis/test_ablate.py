"""An ablation of two DPO trainings from shared versions, a third that fails, and the tables."""

import json
import shutil
from datetime import UTC, datetime

import pytest
from prefect.testing.utilities import prefect_test_harness

from parrot_core.analysis.ablation.matrix import Matrix
from parrot_core.analysis.ablation.plan import plan_ablation
from parrot_core.analysis.ablation.table import ablation_markdown
from parrot_core.errors import ParrotError
from parrot_core.execution.runs import begin_run
from parrot_core.lake.lake import Lake
from parrot_core.monitor.reader import read_run
from parrot_core.stages.registry import STAGE_SPECS
from parrot_core.stages.training.fit import Tally
from parrot_core.stages.training.stages import TrainSftStage
from tests.support.lakes.given_stage import Given
from tests.support.lakes.recipes import minimal_recipe
from tests.support.lakes.toy_stages import drive
from tests.support.training.tiny_jobs import SESSION
from tests.support.training.tiny_model import build_tiny_model

pytestmark = pytest.mark.engine

STRATEGIES = ("neglect", "hallucination")
QUERIES = 6


def dialogue(number):
    return {
        "id": f"s{number}",
        "source_ids": [f"seed{number}"],
        "language": "en",
        "messages": SESSION,
        "ended_by": "max_turns",
    }


def pair(number, strategy):
    query = f"How many people live in town {number}?"
    return {
        "id": f"s{number}/t2:{strategy}",
        "source_ids": [f"s{number}/t2"],
        "language": "en",
        "strategy": strategy,
        "turn": 2,
        "prompt": [*SESSION[:2], {"role": "user", "content": query}],
        "chosen": [{"role": "assistant", "content": "Two million."}],
        "rejected": [{"role": "assistant", "content": f"A poem about {strategy}."}],
        "evidence": None,
        "evidence_by": None,
        "prompt_set": "en-1",
        "model": None,
        "request_key": None,
        "judge_texts": None,
    }


def untrained(model):
    """A training's launch that learns nothing."""

    def launch(job, on_progress):
        shutil.copytree(model, job.model_folder, dirs_exist_ok=True)
        count = len(job.train_file.read_text().splitlines())
        held = len(job.heldout_file.read_text().splitlines())
        tally = Tally().as_json()
        parts = {"train": {**tally, "used": count}, "heldout": {**tally, "used": held}}
        return {"examples": parts, "curve": [{"step": 1, "loss": 1.0}], "steps": 1}

    return launch


@pytest.fixture
def base(tmp_path):
    model = build_tiny_model(tmp_path / "tiny")
    engines = {n: {"kind": "vllm", "model": f"lake:{n}"} for n in ("parrot-sft", "parrot-chat")}
    plain = {"kind": "openai", "model": "m", "base_url": "http://127.0.0.1:9/v1"}
    engines |= {"asker": plain, "answerer": plain, "judge": plain}
    recipe = minimal_recipe(
        str(tmp_path / "lake"),
        engines=engines,
        shard_retries=0,
        train_sft={"base": str(model), "heldout_fraction": 0.3},
        train_dpo={
            "max_length": 128,
            "max_steps": 6,
            "epochs": 50,
            "batch_size": 4,
            "learning_rate": 5e-3,
            "precision": "fp32",
            "heldout_fraction": 0.4,
            "eval_examples": 0,
        },
    )
    run = begin_run(recipe, "base")
    drive(run, Given("filter", "parrot", [dialogue(n) for n in range(QUERIES)]))
    drive(run, TrainSftStage(untrained(model)))
    pairs = [pair(n, strategy) for n in range(QUERIES) for strategy in STRATEGIES]
    drive(run, Given("capo", "preferences", pairs))
    return run


def _dpo_on(strategy: str) -> dict:
    return {"subject": "parrot-chat", "set": {"train_dpo.strategies": [strategy]}}


CELLS = {
    "none": {"paper": "none", "subject": "parrot-sft"},
    **{name: {"paper": name, **_dpo_on(name)} for name in STRATEGIES},
    "lost": _dpo_on("misunderstanding"),
}


def test_cells_share_versions_go_on_past_a_failure_and_end_in_tables(base, tmp_path, monkeypatch):
    monkeypatch.setenv("PARROT_WORK", str(tmp_path / "work"))
    matrix = Matrix(name="m", base="x", table="table6", judged=False, accuracy=True, cells=CELLS)
    lake = Lake(base.recipe.lake)
    plans = plan_ablation(matrix, base.recipe, lake, [base])
    assert [plan.makes for plan in plans] == [(), *[("train-dpo",)] * 3]
    with prefect_test_harness(server_startup_timeout=180):
        from flows.ablate import ablate_matrix, run_ablation
        from flows.regenerate import regenerate

        found = run_ablation(matrix, plans)
        made = lake.manifest("model", "parrot-chat", "m-neglect").commit_id
        again = run_ablation(matrix, plans)
        regenerate(plans[1].recipe, "m-neglect")  # as `parrot retry` does
        with pytest.raises(ParrotError, match=r"^lost: .* strategy_neglect"):  # as deployed
            ablate_matrix(matrix, base.recipe, ["base"])
    assert set(found.failures) == set(again.failures) == {"lost"}
    assert "6 strategy_neglect" in found.failures["lost"]
    assert lake.manifest("model", "parrot-chat", "m-neglect").commit_id == made
    assert lake.manifest("model", "parrot-chat", "m-neglect").inputs == {
        "preferences": "base",
        "parrot-sft": "base",
    }
    assert [m.name for m in lake.versions() if m.version == "m-neglect"] == ["parrot-chat"]
    assert read_run(lake, "m-neglect", STAGE_SPECS, datetime.now(UTC)).status == "done"
    accuracy = found.result["accuracy"]
    assert accuracy["models"] == [
        "parrot-sft@base",
        "parrot-chat@m-neglect",
        "parrot-chat@m-hallucination",
    ]
    assert accuracy["pairs"] == 12 == accuracy["measured"] + sum(accuracy["left_out"].values())
    part = next(iter(accuracy["parts"].values()))
    margins = {
        model: found["margin"]["by_strategy"]["neglect"]["mean"]
        for model, found in part["by_model"].items()
    }
    assert margins["parrot-chat@m-neglect"] > margins["parrot-sft@base"]
    stored = json.loads(lake.storage.read_bytes("ablations/m/tables.json"))
    assert stored["cells"][1]["paper"] == {"MT-Bench": 6.84, "MT-Bench++": 6.72}
    assert stored["cells"][3]["failure"] == found.failures["lost"]
    assert lake.storage.read_bytes("ablations/m/tables.md").decode() == ablation_markdown(
        again.result, again.more
    )
