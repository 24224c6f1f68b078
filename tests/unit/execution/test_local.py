"""A run in one process, without Prefect: what `parrot_core.run` promises."""

import json
from pathlib import Path
from typing import Any

import pytest

from parrot_core import Recipe, preview, run
from parrot_core.errors import PartiallyFailed, RecipeError
from parrot_core.execution import local
from parrot_core.lake.lake import Lake
from parrot_core.lake.run_records import StageRecords
from parrot_core.stages.ingest.stage import IngestStage
from tests.support.servers.fake_api import serving


def recipe_of(folder: Path, base_url: str = "http://127.0.0.1:9/v1", **changes: Any) -> Recipe:
    chats = [
        {
            "id": f"s{number}",
            "conversations": [
                {"from": "human", "value": f"What should one see in town number {number}?"},
                {"from": "gpt", "value": "The harbour."},
            ],
        }
        for number in range(8)
    ]
    (folder / "chats.json").write_text(json.dumps(chats))
    engine = {"kind": "openai", "model": "m", "base_url": base_url, "api_key_env": None}
    return Recipe.model_validate(
        {
            "name": "here",
            "lake": str(folder / "lake"),
            "engines": {"asker": engine, "answerer": engine},
            "ingest": {"sources": [str(folder / "chats.json")], "seed_fraction": 0.9},
            "synthesize": {"max_turns": 2},
            "ask_first": False,
            **changes,
        }
    )


def test_a_run_goes_on_where_an_earlier_call_ended(tmp_path: Path) -> None:
    recipe = recipe_of(tmp_path)
    made = run(recipe, until="assemble")
    assert list(made) == ["records", "conversations"]
    again = run(recipe, until="seeds")
    assert again["conversations"].commit_id == made["conversations"].commit_id
    assert again["seeds"].accounting.rows_out > 0


def test_a_preview_is_not_bought_again_by_the_run(tmp_path: Path) -> None:
    with serving() as api:
        recipe = recipe_of(tmp_path, api.base_url)
        run(recipe, until="seeds")
        seen = preview(recipe, number=1)
        bought = len(api.requests)
        assert bought == 3
        made = run(recipe, only=["synthesize"])["dialogues"]
        sessions = made.accounting.rows_out
        assert len(api.requests) == 3 * sessions
    rows = list(Lake(recipe.lake).dataset("dialogues", "here").rows())
    assert seen.rows[0]["messages"] in [row["messages"] for row in rows]


def test_what_is_missing_in_a_recipe_is_said_before_anything_is_begun(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="train-ask"):
        run(recipe_of(tmp_path), only=["train-ask"])
    assert not (tmp_path / "lake" / "runs").exists()


def test_a_shard_is_tried_as_often_as_the_recipe_says_and_its_error_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = []

    def fails(self: IngestStage, work: Any) -> None:
        tries.append(work.plan.index)
        raise OSError("the disk is gone")

    monkeypatch.setattr(IngestStage, "process", fails)
    monkeypatch.setattr(local, "RETRY_AFTER_S", 0.0)
    recipe = recipe_of(tmp_path, shard_retries=2, max_attempts=9)
    with pytest.raises(PartiallyFailed, match="the disk is gone"):
        run(recipe, until="ingest")
    assert tries == [0, 0, 0]
    failures = StageRecords(Lake(recipe.lake).storage, "here", "ingest").shard(0).failures()
    assert [failure.error_type for failure in failures] == ["OSError"] * 3
