from pathlib import Path

import pytest

from parrot_core.errors import MissingRun, MissingVersion, UserError
from parrot_core.lake.lake import Lake
from parrot_core.pinning import pinned_before
from parrot_core.pipeline import STAGE_SPECS
from parrot_core.runner import begin_run
from tests.finished_run import publish
from tests.recipes import minimal_recipe


def earlier(tmp_path: Path) -> Lake:
    """A run ``base`` with conversations of its own and Parrot-Ask of a run ``old``."""
    recipe = minimal_recipe(str(tmp_path), inputs={"parrot-ask": "old"})
    begun = begin_run(recipe, "base")
    for spec in STAGE_SPECS[:2]:
        publish(begun.lake, spec.name, run="base", spec=spec)
    publish(begun.lake, "train-ask", run="old")
    return begun.lake


def test_all_that_earlier_stages_made_is_pinned_to_the_run_or_to_what_that_was_pinned_to(
    tmp_path: Path,
) -> None:
    earlier(tmp_path)
    pinned = pinned_before(minimal_recipe(str(tmp_path)), "seeds", "base")
    made = dict.fromkeys(("records", "conversations"), "base")
    assert pinned.inputs == {**made, "parrot-ask": "old"}
    assert pinned_before(minimal_recipe(str(tmp_path)), "ingest", "base").inputs == {}


def test_pins_of_the_recipe_are_kept(tmp_path: Path) -> None:
    lake = earlier(tmp_path)
    publish(lake, "train-ask", run="mine")
    recipe = minimal_recipe(str(tmp_path), inputs={"parrot-ask": "mine"})
    assert pinned_before(recipe, "seeds", "base").inputs["parrot-ask"] == "mine"


def test_what_the_run_lacks_is_named(tmp_path: Path) -> None:
    earlier(tmp_path)
    recipe = minimal_recipe(str(tmp_path))
    with pytest.raises(MissingVersion, match="'seeds' has no published version 'base'"):
        pinned_before(recipe, "synthesize", "base")
    with pytest.raises(MissingRun, match="'other'"):
        pinned_before(recipe, "seeds", "other")
    with pytest.raises(UserError, match="no stage 'sow'"):
        pinned_before(recipe, "sow", "base")
