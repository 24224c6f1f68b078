"""What is deployed runs elsewhere: paths are absolute or refused, schedules are checked first."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from flows.deploy import CronSchedule, rendered
from flows.portable import keys_wanted, portable
from parrot_core.errors import UserError
from parrot_core.recipe import parse_recipe
from tests.support.lakes.recipes import minimal_recipe

NOW = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)
VLLM = {"kind": "vllm", "model": "./model"}


def test_every_local_path_becomes_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("chats.jsonl", "questions.jsonl"):
        (tmp_path / name).write_text("{}")
    for name in ("raw", "model"):
        (tmp_path / name).mkdir()
    recipe = parse_recipe(
        {
            "name": "r",
            "lake": "lake",
            "engines": {"a": VLLM, "hub": {"kind": "vllm", "model": "org/model"}},
            "ingest": {
                "sources": ["chats.jsonl", {"url": "raw/*.json", "name": "raw"}, "s3://b/x.json"]
            },
            "train_ask": {"base": "model"},
            "evaluate": {"subjects": {"s": "a"}, "judge": "a", "questions": "questions.jsonl"},
        }
    )
    moved = portable(recipe)
    here = str(tmp_path)
    assert moved.lake == f"{here}/lake"
    first, second, third = moved.ingest.sources
    assert (first, third) == (f"{here}/chats.jsonl", "s3://b/x.json")
    assert getattr(second, "url", "") == f"{here}/raw/*.json"
    assert moved.engines["a"].model == f"{here}/model"
    assert moved.engines["hub"].model == "org/model"
    assert moved.train_ask.base == f"{here}/model"
    assert moved.evaluate.questions == f"{here}/questions.jsonl"
    assert portable(recipe.model_copy(update={"lake": "s3://b/lake"})).lake == "s3://b/lake"


def test_what_leads_nowhere_is_refused_in_one_line(tmp_path: Path) -> None:
    recipe = minimal_recipe(str(tmp_path), engines={"asker": VLLM, "answerer": VLLM, "judge": VLLM})
    with pytest.raises(UserError) as refused:
        portable(recipe)
    text = str(refused.value)
    assert "ingest.sources.0: none.json: no such file here" in text
    assert "asker: ./model: no such file here" in text
    assert "\n" not in text


@pytest.mark.parametrize(
    ("cron", "zone"), [("nonsense", "UTC"), ("99 1 * * *", "UTC"), ("0 1 * * *", "Mars/Base")]
)
def test_a_schedule_that_cannot_be_is_refused(cron: str, zone: str) -> None:
    with pytest.raises(UserError, match="expected five fields"):
        CronSchedule(cron, zone, "n").next_run(NOW)


def test_the_next_run_is_known_and_a_paused_schedule_stays_paused(tmp_path: Path) -> None:
    schedule = CronSchedule("0 1 * * *", "UTC", "nightly-%Y-%m-%d", active=False)
    assert f"{schedule.next_run(NOW):{schedule.run}}" == "nightly-2026-11-30"
    data = rendered(minimal_recipe(str(tmp_path)), schedule, "wait")
    (whole,) = [each for each in data["deployments"] if each["name"] == "regenerate"]
    assert whole["schedules"][0]["active"] is False


def test_a_recipe_of_a_part_can_be_deployed(tmp_path: Path) -> None:
    api = {"kind": "openai", "model": "m"}
    recipe = parse_recipe(
        {"name": "r", "lake": str(tmp_path), "engines": {"asker": api, "answerer": api}}
    )
    deployed = {each["name"]: each for each in rendered(recipe, None, "wait")["deployments"]}
    assert deployed["synthesize"]["work_pool"]["name"] == "parrot-api"
    assert keys_wanted(recipe) == ["OPENAI_API_KEY"]
