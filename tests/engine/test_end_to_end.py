"""The whole factory through its command: real Prefect, vLLM, TRL and S3, with a tiny model."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from parrot_core.lake.lake import Lake
from parrot_core.stages.registry import STAGES
from tests.support.runs.factory import Factory, sharegpt_file
from tests.support.servers.fake_api import FakeApi, Reply, serving
from tests.support.servers.s3_server import KEY, SECRET, use_s3
from tests.support.training.tiny_model import build_tiny_model

pytestmark = pytest.mark.engine


def judge(number: int, body: dict[str, Any]) -> Reply:
    """Agrees with the rules and likes every answer: yes to questions, 7 to answers, A to pairs."""
    text = " ".join(message["content"] for message in body["messages"])
    if "[[A]]" in text:
        return Reply("[[A]]")
    return Reply("[[7]]" if "[[" in text else "Yes")


def recipe(lake: str, model: Path, source: Path, api: FakeApi) -> dict[str, Any]:
    """Every stage real, only small."""
    vllm = {"kind": "vllm", "max_model_len": 1024, "dtype": "float32"}
    training = {
        "max_length": 512,
        "batch_size": 8,
        "per_device_batch_size": 8,
        "learning_rate": 5e-3,
        "epochs": 50,
        "eval_examples": 4,
    }
    sampling = {"temperature": 0.8, "max_tokens": 24}
    return {
        "name": "tiny",
        "lake": lake,
        "shards_at_once": 2,
        "engines": {
            "asker": {**vllm, "model": "lake:parrot-ask"},
            "answerer": {**vllm, "model": str(model)},
            "chat": {**vllm, "model": "lake:parrot-chat"},
            "judge": {
                "kind": "openai",
                "model": "judge",
                "base_url": api.base_url,
                "api_key_env": "JUDGE_KEY",
            },
        },
        "ingest": {"sources": [str(source)], "languages": [], "heldout_fraction": 0.1},
        "train_ask": {"base": str(model), **training, "max_steps": 150},
        "seeds": {"limit": 10},
        "synthesize": {
            "max_turns": 4,
            "sessions_per_shard": 5,
            "keep_truncated": True,  # so small a model ends hardly any text
            "ask": {**sampling, "temperature": 1.0},
            "answer": sampling,
        },
        "train_sft": {"base": str(model), **training, "max_steps": 10},
        "select": {"limit": 6},
        "capo": {"queries_per_shard": 3, "sampling": sampling, "keep_truncated": True},
        "train_dpo": {**training, "learning_rate": 1e-3, "max_steps": 4},
        "evaluate": {
            "subjects": {"base": "answerer", "chat": "chat"},
            "baseline": "base",
            "limit": 2,
            "max_turns": 2,
            "answer": sampling,
        },
    }


def test_the_whole_factory_runs_on_s3_and_resumes(
    endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_s3(monkeypatch, endpoint)
    lake_url = "s3://lake/factory"
    environment = {
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_ENDPOINT_URL": endpoint,
        "PARROT_CACHE": str(tmp_path / "cache"),
        "PYTHONPATH": os.pathsep.join(sys.path),
        "HF_HUB_OFFLINE": "1",
        "JUDGE_KEY": "planted-secret-key",
    }
    parrot = Factory(tmp_path, environment)
    with serving(judge) as api:
        path = tmp_path / "recipe.yaml"
        source = sharegpt_file(tmp_path / "sharegpt.json")
        model = build_tiny_model(tmp_path / "model")
        path.write_text(yaml.safe_dump(recipe(lake_url, model, source, api)))
        try:
            state = json.loads(parrot("run", str(path), "--json"))
            paid = len(api.requests)
            again = json.loads(parrot("run", str(path), "--json"))
            status = json.loads(parrot("status", "tiny", "--lake", lake_url, "--json"))
            for stage in STAGES:
                parrot("verify", stage.output, "--lake", lake_url)
        finally:
            parrot("server", "stop")
    assert state["status"] == again["status"] == status["status"] == "done"
    assert len(api.requests) == paid

    lake = Lake(lake_url)
    manifests = {m.name: m for m in lake.versions()}
    assert manifests.keys() == {stage.output for stage in STAGES}
    for manifest in manifests.values():
        manifest.accounting.close(manifest.name)
    heldout = manifests["parrot-ask"].metrics["heldout"]
    assert heldout["after"]["loss"] < heldout["before"]["loss"]
    assert manifests["dialogues"].accounting.rows_in == 10
    assert manifests["judgments"].accounting.rows_out > 0
    assert_a_pair_leads_back_to_its_record(lake, source)
    assert_no_file_holds(lake, "planted-secret-key")


def assert_a_pair_leads_back_to_its_record(lake: Lake, source: Path) -> None:
    pair = next(lake.dataset("preferences", "tiny").rows())
    ids = pair["source_ids"]
    for name in ("context-queries", "parrot", "dialogues", "seeds", "conversations", "records"):
        rows = {row["id"]: row for row in lake.dataset(name, "tiny").rows()}
        assert set(ids) <= rows.keys(), f"{ids} not in {name}"
        ids = rows[ids[0]]["source_ids"]
    record = json.loads(source.read_text())[int(ids[0].rsplit("#", 1)[1])]
    assert pair["prompt"][0]["content"] == record["conversations"][0]["value"]


def assert_no_file_holds(lake: Lake, secret: str) -> None:
    for path in lake.storage.list(""):
        if not path.endswith(".safetensors"):
            assert secret.encode() not in lake.storage.read_bytes(path), path


def test_a_missing_key_is_one_line_before_any_work(tmp_path: Path) -> None:
    with serving(judge) as api:
        settings = recipe(str(tmp_path / "lake"), tmp_path, tmp_path / "none.json", api)
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(settings))
    parrot = Factory(tmp_path, {"PYTHONPATH": os.pathsep.join(sys.path)})
    message = parrot("run", str(path), code=2)
    assert message.strip() == (
        "error: engine 'judge' needs an API key: set the environment variable JUDGE_KEY"
    )


def test_a_killed_run_is_finished_by_the_same_command(tmp_path: Path) -> None:
    source = sharegpt_file(tmp_path / "sharegpt.json")
    with serving(lambda number, body: Reply(f"Reply {number}, in full.", delay_s=0.1)) as api:
        engine = {"kind": "openai", "model": "m", "base_url": api.base_url, "api_key_env": None}
        settings = recipe(str(tmp_path / "lake"), tmp_path, source, api)
        settings["engines"] = dict.fromkeys(("asker", "answerer", "chat", "judge"), engine)
        settings["inputs"] = {"parrot-ask": "earlier"}
        path = tmp_path / "recipe.yaml"
        path.write_text(yaml.safe_dump(settings))
        pin_an_asker(tmp_path)
        parrot = Factory(tmp_path, {"PYTHONPATH": os.pathsep.join(sys.path)})
        command = [sys.executable, "-c", "from parrot_cli.main import main; main()"]
        command += ["run", str(path), "--until", "synthesize"]
        try:
            first = subprocess.Popen(command, cwd=tmp_path, env=parrot.environment)
            while len(api.requests) < 20:
                assert first.poll() is None
            first.send_signal(signal.SIGKILL)
            first.wait()
            bought = len(api.requests)
            parrot(*command[3:])
        finally:
            parrot("server", "stop")
    rows = list(Lake(str(tmp_path / "lake")).dataset("dialogues", "tiny").rows())
    assert len(rows) == 10
    in_flight, asked_first = 16, 2
    assert len(api.requests) <= 10 * 7 + in_flight + asked_first
    assert bought < len(api.requests)


def pin_an_asker(folder: Path) -> None:
    """Publish a model version for the run to take instead of training one."""
    from parrot_core.execution.runs import begin_run
    from tests.support.lakes.recipes import minimal_recipe
    from tests.support.lakes.toy_stages import ToyModelStage, drive

    drive(begin_run(minimal_recipe(str(folder / "lake"), name="earlier")), ToyModelStage())
