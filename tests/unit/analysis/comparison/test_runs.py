"""What changed between two runs is told whole, also when one of them is not."""

import json
from pathlib import Path
from typing import Any

import pytest

from parrot_core.analysis.comparison.runs import RunDifference, difference
from parrot_core.errors import MissingRun
from parrot_core.lake.lake import Lake
from tests.support.lakes.finished_run import full_run
from tests.support.lakes.run_state import NOW, RECIPE, RUN, STAGES, Row, begin
from tests.support.lakes.second_run import SECOND, copied_run


def compared(lake: Lake, a: str = RUN, b: str = SECOND) -> RunDifference:
    return difference(lake, a, b, STAGES, NOW)


def changed_queries(rows: list[Row]) -> list[Row]:
    rows[1]["messages"][0]["content"] = "Something else?"
    return rows[:-1]


def better(rows: list[Row]) -> list[Row]:
    for row in rows:
        row["score"] += 1.0 if row["subject"] == "Parrot-Chat" else 0.0
    return rows


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return full_run(tmp_path)


def test_a_run_differs_in_nothing_from_itself(lake: Lake) -> None:
    found = compared(lake, RUN, RUN)
    assert found.empty
    assert not found.missing
    assert len(found.stages) == len(STAGES)


def test_a_run_made_again_alike_differs_in_nothing(lake: Lake) -> None:
    copied_run(lake)
    found = compared(lake)
    assert found.empty
    assert found.settings == ()


def test_counts_rows_and_scores_turn_their_sign_with_the_direction(lake: Lake) -> None:
    copied_run(lake, {"parrot": changed_queries, "judgments": better})
    there, back = compared(lake), compared(lake, SECOND, RUN)
    assert not there.empty
    for one, other in zip(there.stages, back.stages, strict=True):
        assert one.counts == {name: pair[::-1] for name, pair in other.counts.items()}
        if one.rows is not None and other.rows is not None:
            assert (one.rows.added, one.rows.removed) == (other.rows.removed, other.rows.added)
            assert one.rows.changed == other.rows.changed
    for name, each in there.scores.items():
        turned = back.scores[name].difference.overall
        assert each.difference.overall.mean == -turned.mean


def test_what_changed_is_in_its_stage_and_nowhere_else(lake: Lake) -> None:
    copied_run(lake, {"parrot": changed_queries})
    found = compared(lake)
    (stage,) = [stage for stage in found.stages if not stage.empty]
    assert stage.output == "parrot"
    assert stage.rows is not None
    assert (stage.rows.changed, stage.rows.removed, stage.rows.same) == (1, 1, 3)
    assert stage.counts["turns"] == (12, 9)
    assert {each.name for each in stage.numbers if each.moved} >= {"turns", "query characters"}


def test_scores_of_the_same_questions_are_paired(lake: Lake) -> None:
    copied_run(lake, {"judgments": better})
    scores = compared(lake).scores
    gained = scores["Parrot-Chat"].difference.overall
    assert (gained.mean, gained.low, gained.high, gained.n) == (1.0, 1.0, 1.0, 12)
    assert scores["base"].difference.overall.mean == 0.0


def test_answers_to_other_questions_are_not_paired(lake: Lake) -> None:
    def reworded(rows: list[Row]) -> list[Row]:
        for row in rows:
            row["query"] += str(row["turn"] > 1)
        return rows

    def some(rows: list[Row]) -> list[Row]:
        for row in rows:
            if row["turn"] > 1:
                row["query"] = "Another?"
        return rows

    copied_run(lake, {"judgments": reworded}, name="other")
    copied_run(lake, {"judgments": some}, name="partly")
    assert compared(lake, RUN, "other").scores == {}
    assert compared(lake, RUN, "partly").scores["base"].unpaired == (8, 8)


def test_settings_that_differ_are_listed_and_names_are_not(lake: Lake) -> None:
    copied_run(lake, recipe={**RECIPE, "seed": 7, "description": "another"})
    found = compared(lake)
    assert [(change.path, change.values) for change in found.settings] == [("seed", (42, 7))]
    assert not found.empty


def test_a_partial_run_says_what_it_lacks_and_the_rest_is_compared(lake: Lake) -> None:
    copied_run(lake, leave_out=("evaluate", "train-dpo"))
    found = compared(lake)
    assert found.missing == (
        "run 'second' has no 'parrot-chat': 'train-dpo' is waiting",
        "run 'second' has no 'judgments': 'evaluate' is waiting",
    )
    assert not found.empty
    assert len(found.stages) == len(STAGES) - 2


def test_a_pinned_input_is_the_same_version(lake: Lake) -> None:
    copied_run(lake, recipe={**RECIPE, "inputs": {"conversations": RUN}})
    found = compared(lake)
    first = found.stages[0]
    assert (first.output, first.same, first.b.pinned) == ("conversations", True, True)
    assert [change.path for change in found.settings] == ["inputs.conversations"]


def test_a_pin_to_nothing_is_told(lake: Lake) -> None:
    copied_run(lake, recipe={**RECIPE, "inputs": {"conversations": "gone"}})
    (line,) = compared(lake).missing
    assert "its recipe names version gone, which is not in the lake" in line


def test_two_runs_that_have_just_begun_are_alike(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    begin(lake)
    begin(lake, SECOND)
    assert compared(lake).empty


def test_a_damaged_version_is_named_and_the_rest_is_compared(lake: Lake) -> None:
    copied_run(lake, {"parrot": changed_queries})
    lake.storage.write_bytes(
        f"datasets/parrot/{SECOND}/shards/00000-0123456789ab-0.parquet", b"not parquet"
    )
    found = compared(lake)
    assert "expected SHA-256" in found.missing[0]
    assert not found.empty
    assert len(found.stages) == len(STAGES)


def test_a_trainings_figures_and_weights_are_compared(lake: Lake) -> None:
    copied_run(lake)
    path = f"models/parrot-chat/{SECOND}/manifest.json"
    manifest: dict[str, Any] = lake.storage.read_json(path)
    manifest["metrics"]["heldout"]["after"]["margin"] = 0.3
    manifest["metrics"]["tokens_per_s"] = 1.0
    weights = {"path": "attempt/model.safetensors", "rows": 0, "bytes": 1, "sha256": "0"}
    manifest["files"] = [weights]
    lake.storage.write_json(path, manifest)
    (stage,) = [stage for stage in compared(lake).stages if not stage.empty]
    assert stage.files == ("model.safetensors",)
    assert [(f.name, f.a, f.b) for f in stage.figures] == [("held-out margin after", 0.184, 0.3)]


def test_it_is_json(lake: Lake) -> None:
    copied_run(lake, {"parrot": changed_queries, "judgments": better})
    data = json.loads(json.dumps(compared(lake).to_json()))
    assert data["differ"] is True
    assert data["scores"]["Parrot-Chat"]["difference"]["overall"]["mean"] == 1.0


def test_an_unknown_run_is_the_users_mistake(lake: Lake) -> None:
    with pytest.raises(MissingRun):
        compared(lake, RUN, "nowhere")
