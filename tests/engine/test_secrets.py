"""A planted API key and a planted webhook token: after runs that fail, no file holds either."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from parrot_core.execution.pinning import pinned_before
from parrot_core.lake.lake import Lake
from tests.support.lakes.run_state import publish
from tests.support.lakes.toy_stages import synthesis
from tests.support.runs.factory import Factory
from tests.support.servers import patient_http
from tests.support.servers.fake_api import Reply, echo_turns, serving

pytestmark = pytest.mark.engine

KEY = "sk-planted-4f9a1c77e2"
TOKEN = "T0KEN-planted-8841bb"


FAILURE = "runs/refused/synthesize/shards/00001/attempt-1.json"


def repeats_the_key(status: int, after: int) -> Any:
    """A provider that refuses some requests, and tells everybody with which key they came."""

    def reply(number: int, body: dict[str, Any]) -> Reply:
        if number <= after:
            return echo_turns(number, body)
        error = {"message": f"Incorrect API key provided: {KEY}", "code": None}
        return Reply(status=status, error=error)

    return reply


def engine(base_url: str) -> dict[str, Any]:
    return {
        "kind": "openai",
        "model": "m",
        "base_url": base_url,
        "api_key_env": "PLANTED_KEY",
        "limits": {"concurrency": 4, "max_retries": 1, "max_pause_s": 0},
        "price": {"input_per_million": 1, "output_per_million": 1, "as_of": "2026-01-01"},
    }


def test_no_file_log_or_database_holds_a_planted_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLANTED_KEY", KEY)
    parrot = Factory(
        tmp_path,
        {
            "PARROT_SERVER_HOME": str(tmp_path / "prefect"),
            "PYTHONPATH": os.getcwd(),
            "PARROT_WEBHOOK": f"http://127.0.0.1:9/hooks/{TOKEN}",
        },
    )
    said = []
    with serving() as api:
        asked = dict.fromkeys(("asker", "answerer", "judge"), engine(api.base_url))
        base = synthesis(tmp_path / "lake", api.base_url, engines=asked)
        publish(base.lake, "ingest", run="test")
        publish(base.lake, "train-ask", run="test")
        recipe = pinned_before(base.recipe, "synthesize", "test")
        file = tmp_path / "recipe.yaml"
        file.write_text(yaml.safe_dump(recipe.model_dump(mode="json")))
        try:
            said.append(parrot("deploy", "recipe.yaml"))
            for name, status, code in (("refused", 401, 2), ("wrong", 400, 2), ("broken", 500, 1)):
                api.behaviour = repeats_the_key(status, len(api.requests) + 20)
                run = ("run", "recipe.yaml", "--name", name, "--until", "synthesize")
                said.append(parrot(*run, code=code))
            lake = str(tmp_path / "lake")
            said += [
                parrot("status", name, "--lake", lake) for name in ("refused", "wrong", "broken")
            ]
            port = json.loads((tmp_path / "prefect" / "server.json").read_text())["port"]
            said += answers(f"http://127.0.0.1:{port}/api")
        finally:
            parrot("server", "stop")
    assert "HTTP 401" in said[1], "the error that named the key was not seen"
    refused = Lake(str(tmp_path / "lake")).storage.read_json(FAILURE)
    assert "[key]" in refused["message"]
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.name == "prefect.db" for path in files)
    assert any(path.name == "report.html" for path in files)
    assert any(path.name == "attempt-1.json" for path in files)
    for path in files:
        data = path.read_bytes()
        assert KEY.encode() not in data, path
        assert TOKEN.encode() not in data, path
    for text in said:
        assert KEY not in text
        assert TOKEN not in text


def answers(api: str) -> list[str]:
    """All that Prefect's API tells about runs, logs, artifacts, automations and blocks."""
    wanted = ("flow_runs", "task_runs", "logs", "artifacts", "automations", "block_documents")
    found = [patient_http.post(f"{api}/{what}/filter", json={}) for what in wanted]
    assert all(answer.status_code == 200 for answer in found)
    return [answer.text for answer in found]
