from datetime import UTC, datetime
from pathlib import Path

import pytest

from parrot_core.errors import MissingRun, MissingVersion, UserError
from parrot_core.execution.pinning import pinned_before
from parrot_core.execution.runs import begin_run, is_pinned, is_published
from parrot_core.lake.lake import Lake
from parrot_core.monitor.reader import read_run
from parrot_core.stages.registry import STAGE_SPECS, STAGES
from tests.support.lakes.recipes import minimal_recipe
from tests.support.lakes.run_state import publish


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


def test_pinned_conversations_need_no_records_and_ingest_counts_as_pinned(tmp_path: Path) -> None:
    recipe = minimal_recipe(str(tmp_path), inputs={"conversations": "old"})
    run = begin_run(recipe)
    publish(run.lake, "ingest", run="old")  # what an ingest made before records were kept
    ingest, assemble, train_ask = STAGES[:3]
    assert is_published(run, ingest)
    assert is_published(run, assemble)
    assert is_pinned(run, ingest)
    assert not is_published(run, train_ask)
    state = read_run(run.lake, run.name, STAGE_SPECS[:3], datetime.now(UTC))
    assert [stage.status for stage in state.stages] == ["pinned", "pinned", "waiting"]


def test_going_on_from_a_run_without_records_pins_what_was_made_of_them(tmp_path: Path) -> None:
    recipe = minimal_recipe(str(tmp_path))
    publish(begin_run(recipe, "base").lake, "ingest", run="base")
    assert pinned_before(recipe, "train-ask", "base").inputs == {"conversations": "base"}
    with pytest.raises(MissingVersion, match="'records'"):
        pinned_before(recipe, "assemble", "base")
