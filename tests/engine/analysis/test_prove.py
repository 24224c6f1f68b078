"""The command that proves an asker, end to end: a tiny asker in a lake, engines behind HTTP."""

import json
import shutil

import pytest
from typer.testing import CliRunner

from parrot_cli.main import app
from parrot_core.analysis.asker_proof.proof import proof_file
from parrot_core.engines.types import Message
from parrot_core.execution.runs import begin_run
from parrot_core.stages.training.fit import Tally
from parrot_core.stages.training.stages import TrainAskStage
from tests.support.lakes.given_stage import Given
from tests.support.lakes.recipes import minimal_recipe
from tests.support.lakes.toy_stages import drive
from tests.support.servers.fake_api import Reply, serving
from tests.support.training.tiny_model import build_tiny_model

pytestmark = pytest.mark.engine

HELD_OUT = 14


def conversation(number: int, split: str) -> dict[str, object]:
    def said(role: str, content: str) -> Message:
        return {"role": role, "content": content}  # type: ignore[typeddict-item]

    messages = [
        said("user", f"What is the capital of country {number}?"),
        said("assistant", f"The capital of country {number} is a city on a river."),
        said("user", "How many people live there?" if number % 2 else "Name a poet of Spain."),
        said("assistant", "Two million."),
    ]
    return {
        "id": f"c{number}",
        "source_ids": [f"r{number}"],
        "language": "en",
        "split": split,
        "source": "file",
        "record_index": number,
        "messages": messages,
        "n_turns": 2,
        "opens_session": True,
        "ends_session": True,
        "group": None,
        "flags": [],
    }


def untrained(job, on_progress):
    """An asker that learned nothing but has an asker's template."""
    from transformers import AutoTokenizer

    from parrot_core.stages.training.examples import prepare_tokenizer

    shutil.copytree(job.model, job.model_folder, dirs_exist_ok=True)
    tokenizer = AutoTokenizer.from_pretrained(job.model)
    prepare_tokenizer(job, tokenizer)
    tokenizer.save_pretrained(job.model_folder)
    tally = Tally().as_json()
    parts = {
        part: {**tally, "used": len(file.read_text().splitlines())}
        for part, file in (("train", job.train_file), ("heldout", job.heldout_file))
    }
    return {"examples": parts, "curve": [{"step": 1, "loss": 1.0}], "steps": 1}


def write(number, body):
    told = body["messages"][0]["content"].startswith("You are playing the role of a user")
    return Reply("Tell me about the rivers of Spain." if told else "And how old is it?")


def test_a_run_is_proved_against_its_base_a_role_player_and_the_humans(tmp_path, monkeypatch):
    monkeypatch.setenv("PARROT_WORK", str(tmp_path / "work"))
    lake = str(tmp_path / "lake")
    model = str(build_tiny_model(tmp_path / "tiny"))
    rows = [conversation(n, "heldout" if n < HELD_OUT else "train") for n in range(HELD_OUT + 3)]
    with serving(write) as api:
        recipe = minimal_recipe(lake, api.base_url, train_ask={"base": model}, name="tiny")
        run = begin_run(recipe)
        drive(run, Given("assemble", "conversations", rows))
        drive(run, TrainAskStage(untrained))
        command = ["prove", "tiny", "--lake", lake, "--json", "--contexts", str(HELD_OUT // 2)]
        result = CliRunner().invoke(app, command)
        asked = len(api.requests)
        [kept] = (tmp_path / "work").glob("*/prove/asker-*[!s].jsonl")
        whole = kept.read_bytes()
        kept.write_bytes(whole[: len(whole) // 2])  # as a process that is killed leaves it
        again = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert json.loads(again.stdout) == found == run.lake.storage.read_json(proof_file("tiny"))
    taken = HELD_OUT // 2  # the others are people to hold people against
    assert asked == len(api.requests) == 2 * (3 + 1) * taken  # nothing is asked for twice
    assert sorted(kept.read_bytes().splitlines()) == sorted(whole.splitlines())
    domain = found["domains"]["held out"]
    assert domain["contexts"] == {"taken": taken, "sessions": HELD_OUT, "left_out": {}}
    likelihood = domain["likelihood"]["follow-ups"]
    less = likelihood["less"]["base"]  # it learned nothing: another end beside it only rounds
    assert [less[bound] for bound in ("value", "low", "high")] == pytest.approx([0] * 3, abs=1e-5)
    tokens = {each["tokens"] for each in likelihood["models"].values()}
    assert len(tokens) == 1
    assert domain["likelihood"]["opening queries"]["queries"] == taken
    depends = {who: each["depends"]["value"] for who, each in domain["follow_ups"].items()}
    assert (depends["asker"], depends["role_play"]) == (1, 0)
    assert domain["differences"]["role_play"]["depends"]["low"] == 1
    assert found["diversity"]["distinct_1"]["asker"]["value"] == pytest.approx(1 / 3)
    assert found["ending"]["asker"]["places"] == 2 * taken
    assert found["notes"]
    assert found["preferences"] == {"left_out": "the run's chat models are not published"}
