"""A part of the factory: which stages a command means, and what they must find."""

from pathlib import Path
from typing import Any

import pytest

from parrot_core.errors import RecipeError, UserError
from parrot_core.execution.selection import check_selection, run_to_be, selected
from parrot_core.lake.run import Run
from parrot_core.recipe import parse_recipe
from parrot_core.stages.registry import STAGE_SPECS, STAGES
from tests.support.lakes.recipes import minimal_recipe
from tests.support.lakes.run_state import publish

API = {"kind": "openai", "model": "m", "base_url": "http://127.0.0.1:9/v1", "api_key_env": None}


def run_of(tmp_path: Path, **parts: Any) -> Run:
    return run_to_be(parse_recipe({"name": "part", "lake": str(tmp_path), **parts}), None)


def names(run: Run, *arguments: Any, **options: Any) -> list[str]:
    return [stage.name for stage in selected(run, *arguments, **options)]


def test_without_a_word_all_stages_are_wanted_or_those_of_the_recipe(tmp_path: Path) -> None:
    whole = {
        "ingest": {"sources": ["x.json"]},
        "train_ask": {"base": "b"},
        "train_sft": {"base": "b"},
        "engines": {"a": API},
        "evaluate": {"subjects": {"s": "a"}},
    }
    assert names(run_of(tmp_path, **whole)) == [stage.name for stage in STAGES]
    run = run_of(tmp_path, **whole, stages=["seeds", "synthesize", "filter"])
    assert names(run) == ["seeds", "synthesize", "filter"]
    assert names(run, only=["capo"]) == ["capo"]


def test_only_from_and_until_compose(tmp_path: Path) -> None:
    run = run_of(tmp_path)
    assert names(run, ["seeds", "filter", "capo"], "filter", "capo") == ["filter", "capo"]
    assert names(run, (), "select", "capo") == ["select", "capo"]
    with pytest.raises(UserError, match="--until train-dpo: not among --only"):
        selected(run, ["capo"], None, "train-dpo")
    with pytest.raises(UserError, match="no stage is left"):
        selected(run, (), "capo", "select")
    with pytest.raises(UserError, match=r"--only: no stage 'sinthesize'.*mean 'synthesize'"):
        selected(run, ["sinthesize"])


def test_a_training_without_a_section_is_left_out_where_nobody_reads_its_model(
    tmp_path: Path,
) -> None:
    plain = {"ingest": {"sources": ["x.json"]}, "engines": {"asker": API, "answerer": API}}
    made = ["ingest", "assemble", "seeds", "synthesize"]
    assert names(run_of(tmp_path, **plain), last="synthesize") == made

    trained = {"asker": {"kind": "vllm", "model": "lake:parrot-ask"}, "answerer": API}
    run = run_of(tmp_path, **{**plain, "engines": trained})
    wanted = selected(run, last="synthesize")
    assert "train-ask" in [stage.name for stage in wanted]
    with pytest.raises(
        RecipeError, match=r"train-ask \(synthesize reads its parrot-ask\) needs train_ask.base"
    ):
        check_selection(run, wanted)


def test_a_stage_that_is_named_and_lacks_its_section_is_told(tmp_path: Path) -> None:
    run = run_of(tmp_path)
    for stage, setting in (
        ("ingest", "ingest.sources"),
        ("train-ask", "train_ask.base"),
        ("evaluate", "evaluate.subjects"),
    ):
        with pytest.raises(RecipeError, match=f"stage {stage} needs {setting}"):
            check_selection(run, selected(run, [stage]))


def test_engines_of_stages_nobody_wants_are_not_missed(tmp_path: Path) -> None:
    run = run_of(tmp_path, engines={"answerer": API}, select={"limit": 5})
    publish(run.lake, "select", run="part", spec=_spec("select"))
    check_selection(run, selected(run, ["capo"]))
    judged = run_of(tmp_path, engines={"a": API}, evaluate={"subjects": {"s": "a"}})
    with pytest.raises(RecipeError, match="stage evaluate asks engine 'judge'"):
        check_selection(judged, selected(judged, ["evaluate"]))


def test_what_a_stage_reads_and_nobody_makes_must_be_in_the_lake(tmp_path: Path) -> None:
    run = run_of(tmp_path, engines={"asker": API, "answerer": API})
    with pytest.raises(RecipeError, match=r"synthesize reads seeds@part.*run seeds too, or import"):
        check_selection(run, selected(run, ["synthesize"]))
    pinned = run_of(tmp_path, engines={"asker": API, "answerer": API}, inputs={"seeds": "mine"})
    with pytest.raises(RecipeError, match="synthesize reads seeds@mine"):
        check_selection(pinned, selected(pinned, ["synthesize"]))
    publish(run.lake, "seeds", run="mine", spec=_spec("seeds"))
    check_selection(pinned, selected(pinned, ["synthesize"]))


def _spec(name: str) -> Any:
    return next(spec for spec in STAGE_SPECS if spec.name == name)


def test_a_limit_that_fills_the_whole_context_is_refused_where_a_wanted_stage_has_it(
    tmp_path: Path,
) -> None:
    small = {"kind": "vllm", "model": "m", "max_model_len": 1024}
    engines = dict.fromkeys(("asker", "answerer", "judge"), small)
    run = run_to_be(minimal_recipe(str(tmp_path), engines=engines), None)
    with pytest.raises(
        RecipeError, match=r"synthesize\.answer\.max_tokens is 1,024, but the whole"
    ):
        check_selection(run, selected(run, last="synthesize"))
    check_selection(run, selected(run, last="assemble"))
