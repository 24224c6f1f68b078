"""Recipes that ship can be run as they are, and `parrot init` makes one's own of them."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from parrot_cli.options import RECIPES
from parrot_cli.recipe_writing import as_yaml, filled
from parrot_core.execution.selection import check_selection, run_to_be, selected
from parrot_core.recipe import load_recipe
from parrot_core.stages.registry import STAGE_SPECS
from tests.support.lakes.run_state import publish

SHIPPED = sorted(path.stem for path in RECIPES.glob("*.yaml"))


@pytest.mark.parametrize("name", SHIPPED)
def test_a_recipe_that_ships_lacks_no_section_nor_engine_of_the_stages_it_makes(
    tmp_path: Path, name: str
) -> None:
    recipe = load_recipe(RECIPES / f"{name}.yaml", (f"lake={tmp_path}",))
    run = run_to_be(recipe, None)
    for spec in STAGE_SPECS:  # what its comments say is to be imported first
        if spec.output in recipe.inputs:
            publish(run.lake, spec.name, run=recipe.inputs[spec.output], spec=spec)
    check_selection(run, selected(run))


def test_parts_of_the_factory_ship_as_recipes() -> None:
    assert {"data-only", "capo-on-your-dialogues", "local-gpu", "openai", "demo", "paper"} <= set(
        SHIPPED
    )


def test_a_recipe_that_ships_is_found_by_its_name(parrot: Any) -> None:
    outcome = parrot("validate", "data-only")
    assert outcome.code == 0, outcome.err
    assert "It makes: ingest, assemble, seeds, synthesize, filter" in outcome.out
    outcome = parrot("validate", "data-onyl")
    assert outcome.code == 2
    assert "did you mean 'data-only'?" in outcome.err


def test_init_writes_ones_own_values_and_keeps_the_comments(parrot: Any, tmp_path: Path) -> None:
    chats = str(tmp_path / "chats.jsonl")
    flags = ("--from", "data-only", "--source", chats, "--model", "gpt-5-mini", "--budget", "7")
    outcome = parrot("init", "mine.yaml", *flags, "--set", "synthesize.max_turns=4")
    assert outcome.code == 0, outcome.err
    text = (tmp_path / "mine.yaml").read_text()
    recipe = load_recipe(tmp_path / "mine.yaml")
    assert (recipe.name, recipe.budget_usd, recipe.synthesize.max_turns) == ("mine", 7, 4)
    assert recipe.ingest.sources == (chats,)
    assert recipe.engines["answerer"].model == "gpt-5-mini"
    assert recipe.engines["asker"].model == "gpt-4.1-mini"
    assert "# a hard stop before this cost" in text
    assert "# off where the asker is a trained Parrot-Ask" in text


def test_init_replaces_nothing_unasked_and_writes_nothing_wrong(
    parrot: Any, tmp_path: Path
) -> None:
    assert parrot("init", "a.yaml", "--from", "openai").code == 0
    assert "is there already" in parrot("init", "a.yaml", "--from", "openai").err
    outcome = parrot("init", "b.yaml", "--from", "openai", "--set", "seed=-1")
    assert outcome.code == 2
    assert "seed" in outcome.err
    assert not (tmp_path / "b.yaml").exists()
    assert "say what to begin with: data-only" in parrot("init", "b.yaml").err


@given(
    value=st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=3),
        max_leaves=4,
    ),
    path=st.sampled_from(
        ["name", "engines.answerer.model", "ingest.sources", "evaluate.limit", "capo.verdict.stop"]
    ),
    name=st.sampled_from(SHIPPED),
)
def test_a_value_lands_in_its_place_and_nowhere_else(value: object, path: str, name: str) -> None:
    text = (RECIPES / f"{name}.yaml").read_text()
    before, after = yaml.safe_load(text), yaml.safe_load(filled(text, {path: as_yaml(value)}))
    *parents, last = path.split(".")
    node, was = after, before
    for key in parents:
        node, was = node[key], was.get(key) or {}
    assert node.pop(last) == value
    was.pop(last, None)
    prune(after)
    prune(before)
    if "&" not in text:  # an anchor's other places take its new value too
        assert json.dumps(after, default=str) == json.dumps(before, default=str)


def prune(node: dict[str, Any]) -> None:
    """Drop what was made only to hold the value."""
    for key, child in list(node.items()):
        if isinstance(child, dict):
            prune(child)
            if not child:
                del node[key]
