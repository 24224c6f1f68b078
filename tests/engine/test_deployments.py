"""The factory on a real Prefect server: deployments, pools, a worker, a schedule, a webhook."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml

from flows.announce import PARTIAL
from parrot_core.lake.lake import Lake
from parrot_core.stages.registry import STAGES
from tests.support.runs.factory import Factory, sharegpt_file
from tests.support.servers import patient_http
from tests.support.servers.webhook import Webhook, listening_webhook

pytestmark = pytest.mark.engine

DATE = f"{datetime.now(UTC):%Y-%m-%d}"


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    with listening_webhook() as hook:
        yield hook


@contextmanager
def worker(parrot: Factory) -> Iterator[None]:
    command = [sys.executable, "-c", "from parrot_cli.main import main; main()", "workers", "cpu"]
    process = subprocess.Popen(command, cwd=parrot.folder, env=parrot.environment)
    try:
        yield
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


def finished(api: str, run_id: str) -> dict[str, Any]:
    deadline = time.monotonic() + 240
    while True:
        run: dict[str, Any] = patient_http.get(f"{api}/flow_runs/{run_id}").json()
        if run["state"]["type"] in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED"):
            return run
        assert time.monotonic() < deadline, run["state"]
        time.sleep(1)


def test_a_deployed_factory_runs_on_its_pools_and_tells_a_webhook_when_it_fails(
    tmp_path: Path, webhook: Webhook
) -> None:
    source = sharegpt_file(tmp_path / "sharegpt.json")
    engine = {"kind": "openai", "model": "m", "base_url": "http://127.0.0.1:9/v1"}
    recipe = {
        "name": "small",
        "lake": "lake",
        "engines": {
            "asker": {"kind": "vllm", "model": "lake:parrot-ask"},
            "answerer": engine,
            "judge": engine,
        },
        "ingest": {"sources": [str(source)], "languages": []},
        "train_ask": {"base": "tiny"},
        "train_sft": {"base": "tiny"},
        "evaluate": {"subjects": {"chat": "asker"}},
    }
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    parrot = Factory(
        tmp_path,
        {"PARROT_SERVER_HOME": str(tmp_path / "prefect"), "PYTHONPATH": os.getcwd()},
    )
    try:
        night = ("--cron", "0 1 * * *", "--overlap", "refuse", "--webhook", webhook.url)
        said = parrot("deploy", "recipe.yaml", *night)
        assert "parrot-cpu, parrot-api, parrot-gpu" in said
        assert "none, all are there" in parrot("deploy", "recipe.yaml", *night)  # again: no harm
        server = json.loads((tmp_path / "prefect" / "server.json").read_text())
        api = f"http://127.0.0.1:{server['port']}/api"
        found = patient_http.post(f"{api}/deployments/filter", json={}).json()
        deployed = {each["name"]: each for each in found}
        check_deployments(deployed)
        check_list(parrot)
        with worker(parrot):
            check_runs(api, deployed, tmp_path)
            deadline = time.monotonic() + 60
            while not webhook.told and time.monotonic() < deadline:
                time.sleep(0.5)
        check_one_event_tells_once(api, webhook)
    finally:
        parrot("server", "stop")
    assert [told["run"] for told in webhook.told] == ["broken", "twice", "last"]
    assert webhook.told[0]["text"].startswith("Parrot Factory: run failed or crashed: broken")


def check_one_event_tells_once(api: str, webhook: Webhook) -> None:
    """Prefect may evaluate one event a second time; here it comes a second time."""
    occurred = datetime.now(UTC).isoformat()
    events = [
        {
            "id": str(uuid4()),
            "occurred": occurred,
            "event": PARTIAL,
            "resource": {"prefect.resource.id": f"parrot.run.{run}", "prefect.resource.name": run},
        }
        for run in ("twice", "twice", "last")
    ]
    for event in events:
        patient_http.post(f"{api}/events", json=[event]).raise_for_status()
    deadline = time.monotonic() + 60
    while "last" not in [told["run"] for told in webhook.told]:
        assert time.monotonic() < deadline, webhook.told
        time.sleep(0.5)


def check_deployments(deployed: dict[str, Any]) -> None:
    assert deployed.keys() == {
        "regenerate",
        "retry-failed",
        "ablate",
        *(stage.name for stage in STAGES),
    }
    pools = {name: each["work_pool_name"] for name, each in deployed.items()}
    assert pools["ingest"] == pools["filter"] == pools["regenerate"] == "parrot-cpu"
    assert pools["synthesize"] == pools["train-dpo"] == "parrot-gpu"
    assert pools["select"] == pools["capo"] == "parrot-api"
    whole = deployed["regenerate"]
    assert [s["schedule"]["cron"] for s in whole["schedules"]] == ["0 1 * * *"]
    assert whole["schedules"][0]["parameters"] == {"run": "nightly-%Y-%m-%d"}
    assert whole["global_concurrency_limit"]["limit"] == 1
    assert whole["concurrency_options"]["collision_strategy"] == "CANCEL_NEW"
    form = whole["parameter_openapi_schema"]["definitions"]
    assert form["Synthesize"]["properties"]["max_turns"]["maximum"] == 100
    ablation = deployed["ablate"]["parameter_openapi_schema"]
    assert ablation["definitions"]["Matrix"]["required"] == ["name", "base", "cells"]
    assert deployed["ablate"]["work_pool_name"] == "parrot-gpu"


def check_list(parrot: Factory) -> None:
    """`parrot list`, from the server alone."""
    first = json.loads(parrot("list", "--json"))[0]
    assert (first["name"], first["pool"]) == ("regenerate", "parrot-cpu")
    assert first["schedule"] == "0 1 * * * UTC"
    assert " 01:00 UTC as nightly-" in first["next"]
    shown = parrot("list")
    assert all(stage.name in shown for stage in STAGES)


def check_runs(api: str, deployed: dict[str, Any], folder: Path) -> None:
    start = f"{api}/deployments/{deployed['regenerate']['id']}/create_flow_run"
    wanted = {"run": "nightly-%Y-%m-%d", "until": "assemble"}
    good = patient_http.post(start, json={"parameters": wanted}).json()
    done = finished(api, good["id"])
    assert done["state"]["type"] == "COMPLETED", done["state"]
    assert done["name"] == f"nightly-{DATE}"
    lake = Lake(str(folder / "lake"))
    assert lake.manifest("dataset", "conversations", f"nightly-{DATE}").accounting.rows_out
    runs = patient_http.post(f"{api}/flow_runs/filter", json={}).json()
    stages = [run for run in runs if run["deployment_id"] == deployed["ingest"]["id"]]
    assert [(run["name"], run["work_pool_name"], run["state"]["type"]) for run in stages] == [
        (f"nightly-{DATE}-ingest", "parrot-cpu", "COMPLETED")
    ]

    recipe = deployed["regenerate"]["parameters"]["recipe"]
    recipe = {**recipe, "ingest": {**recipe["ingest"], "sources": ["/nowhere.json"]}}
    wanted = {"run": "broken", "until": "ingest", "recipe": recipe}
    bad = patient_http.post(start, json={"parameters": wanted}).json()
    assert finished(api, bad["id"])["state"]["type"] == "FAILED"
