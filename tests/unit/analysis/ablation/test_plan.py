"""What the cells of an ablation share, and what they must not."""

import inspect
import re
import sys
from pathlib import Path

import pytest

from parrot_core.analysis.ablation.matrix import Matrix, load_matrix
from parrot_core.analysis.ablation.paper_tables import paper_tables
from parrot_core.analysis.ablation.plan import CellLineage, plan_ablation
from parrot_core.errors import RecipeError
from parrot_core.lake.lake import Lake
from parrot_core.lake.run import Run
from parrot_core.recipe import Recipe, load_recipe, overridden
from parrot_core.stages.registry import STAGES
from tests.support.lakes.recipes import minimal_recipe

MATRICES = Path("deployments/ablations")


@pytest.fixture
def recipe(tmp_path) -> Recipe:
    engines = {
        name: {"kind": "vllm", "model": f"lake:{name}"} for name in ("parrot-sft", "parrot-chat")
    }
    engines["asker"] = {"kind": "vllm", "model": "lake:parrot-ask"}
    plain = {"kind": "openai", "model": "m", "base_url": "http://127.0.0.1:9/v1"}
    engines |= {"answerer": plain, "judge": plain}
    return minimal_recipe(str(tmp_path / "lake"), engines=engines)


def cells(**each):
    return Matrix(name="m", base="x", cells=each)


def plans(recipe, matrix, earlier=()):
    return {plan.name: plan for plan in plan_ablation(matrix, recipe, Lake(recipe.lake), earlier)}


def test_cells_share_everything_up_to_the_setting_that_differs(recipe):
    found = plans(
        recipe,
        cells(
            one={"subject": "parrot-chat", "set": {"train_dpo.strategies": ["neglect"]}},
            two={"subject": "parrot-chat", "set": {"train_dpo.beta": 0.3}},
        ),
    )
    assert found["one"].makes == tuple(s.name for s in STAGES if s.name != "compare")
    assert found["two"].makes == ("train-dpo", "evaluate")
    assert found["two"].pins == {"preferences": "m-one", "parrot-sft": "m-one"}
    assert found["two"].recipe.inputs == found["two"].pins
    assert found["two"].recipe.evaluate.subjects == {"two": "parrot-chat"}


def test_what_the_subject_does_not_come_from_is_not_run(recipe):
    found = plans(recipe, cells(sft={"subject": "parrot-sft"}))
    assert {"select", "capo", "train-dpo", "compare"}.isdisjoint(found["sft"].makes)
    real = plans(
        recipe, cells(real={"subject": "parrot-sft", "set": {"train_sft.data": "conversations"}})
    )
    assert real["real"].makes == ("ingest", "assemble", "train-sft", "evaluate")


def test_a_setting_that_only_limits_or_speeds_up_divides_nothing(recipe):
    found = plans(
        recipe,
        cells(
            one={"subject": "parrot-sft"},
            two={"subject": "parrot-sft", "set": {"train_sft.save_steps": 7}},
        ),
    )
    assert found["two"].makes == ("evaluate",)


@pytest.mark.parametrize("change", ["seed=7", "engines.answerer.model=other"])
def test_another_seed_or_another_model_behind_an_engine_is_not_shared(recipe, change):
    path, _, value = change.partition("=")
    found = plans(
        recipe,
        cells(one={"subject": "parrot-sft"}, two={"subject": "parrot-sft", "set": {path: value}}),
    )
    assert "synthesize" in found["two"].makes
    assert ("ingest" in found["two"].makes) == (path == "seed")


def test_replicates_make_anew_what_their_seed_decides_and_share_what_is_pinned(recipe):
    matrix = Matrix(
        name="m",
        base="x",
        seeds=(1, 2),
        set={"inputs.parrot": "demo"},
        cells={"one": {"subject": "parrot-sft"}, "two": {"subject": "parrot-sft"}},
    )
    found = plans(recipe, matrix)
    assert list(found) == ["one-seed1", "two-seed1", "one-seed2", "two-seed2"]
    for seed in (1, 2):
        one, two = (found[f"{name}-seed{seed}"] for name in ("one", "two"))
        assert one.makes == ("train-sft", "evaluate")
        assert two.pins == {"parrot-sft": f"m-one-seed{seed}"}
        assert one.recipe.seed == two.recipe.seed == seed
        assert (one.cell, one.label) == ("one", "one")


@pytest.mark.parametrize(
    ("seeds", "setting", "problem"),
    [("[1, 1]", "{}", "expected each once"), ("[1, 2]", "{seed: 3}", "contradict each other")],
)
def test_seeds_that_make_no_replicates_are_refused(seeds, setting, problem, tmp_path):
    path = tmp_path / "m.yaml"
    path.write_text(
        f"name: m\nbase: x\nseeds: {seeds}\ncells: {{a: {{subject: s, set: {setting}}}}}\n"
    )
    with pytest.raises(RecipeError, match=problem):
        load_matrix(path)


def test_versions_of_an_earlier_run_are_shared_once_published(recipe):
    lake = Lake(recipe.lake)
    earlier = Run("demo", recipe, lake, Path())
    matrix = cells(one={"subject": "parrot-sft"})
    assert plans(recipe, matrix, [earlier])["one"].pins == {}
    lake.storage.write_json("models/parrot-sft/demo/manifest.json", {})
    found = plans(recipe, matrix, [earlier])["one"]
    assert (found.makes, found.pins) == (("evaluate",), {"parrot-sft": "demo"})


def test_a_pinned_input_is_what_it_is_whatever_the_settings_say(recipe):
    pinned = overridden(recipe, ("inputs.parrot=old",))
    other = overridden(pinned, ("synthesize.max_turns=4",))
    keys = [
        CellLineage(Run(name, each, Lake(each.lake), Path())).key("parrot-sft")
        for name, each in (("a", pinned), ("b", other), ("c", recipe))
    ]
    assert keys[0] == keys[1] != keys[2]


def test_every_setting_that_a_stage_reads_is_declared():
    sections = set(Recipe.model_fields) - {"name", "seed", "lake", "inputs", "engines"}
    by_module: dict[str, set[str]] = {}
    for stage in STAGES:
        declared = {path.split(".")[0] for path in stage.settings_read or ()}
        by_module.setdefault(type(stage).__module__, set()).update(declared)
    for module, declared in by_module.items():
        source = inspect.getsource(sys.modules[module])
        read = set(re.findall(r"(?<!sizes\.)recipe\.(\w+)", source)) & sections
        assert read <= declared, module


OWN = MATRICES / "askers.yaml"


@pytest.mark.parametrize("path", sorted({*MATRICES.glob("*.yaml")} - {OWN}), ids=lambda p: p.stem)
def test_the_ready_matrices_repeat_the_whole_table_of_the_paper(path, tmp_path):
    matrix = load_matrix(path)
    base = load_recipe(path.parent / matrix.base, (f"lake={tmp_path}",))
    found = plan_ablation(matrix, base, Lake(base.lake))
    table = paper_tables().tables[matrix.table]
    assert {plan.paper for plan in found if plan.paper} == set(table.rows)
    assert len({plan.label for plan in found}) == len(found)
    first = next(plan for plan in found if "ingest" in plan.makes)
    later = {stage for plan in found if plan != first for stage in plan.makes}
    assert {"ingest", "assemble"}.isdisjoint(later)


def test_the_three_askers_share_seeds_of_dialogues_and_differ_in_who_asks(tmp_path):
    matrix = load_matrix(OWN)
    base = load_recipe(OWN.parent / matrix.base, (f"lake={tmp_path}",))
    found = {plan.run: plan for plan in plan_ablation(matrix, base, Lake(base.lake))}
    assert len(found) == 9
    for seed in (1, 2, 3):
        trained, played, bare = (
            found[f"askers-{name}-seed{seed}"] for name in ("trained", "role-play", "bare-turn")
        )
        assert played.pins["seeds"] == bare.pins["seeds"] == trained.run
        assert played.makes == ("synthesize", "filter", "train-sft")
        assert bare.makes == ("train-ask", *played.makes)
        assert bare.recipe.train_ask.max_steps == 0


def test_a_wrong_matrix_is_told_in_one_line(tmp_path, recipe):
    path = tmp_path / "m.yaml"
    with pytest.raises(RecipeError, match="no such file"):
        load_matrix(path)
    path.write_text("name: m\nbase: x\ncells: {a: {subjct: s}}\n")
    with pytest.raises(RecipeError, match=r"cells\.a\.subject"):
        load_matrix(path)
    path.write_text("name: m\nbase: x\ntable: table6\ncells: {a: {subject: s, paper: most}}\n")
    with pytest.raises(RecipeError, match="'most' is no row of table6"):
        load_matrix(path)
    wrong = cells(a={"subject": "parrot-sft", "set": {"train_sft.max_turns": 0}})
    with pytest.raises(RecipeError, match=r"cell 'a': train_sft\.max_turns"):
        plans(recipe, wrong)
