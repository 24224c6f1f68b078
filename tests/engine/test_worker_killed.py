"""A deployed run whose server is restarted and whose worker is killed: it ends by itself."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from parrot_cli.prefect_server import LocalServer
from parrot_core.execution.pinning import pinned_before
from parrot_core.lake.lake import Lake
from parrot_core.lake.run import Run
from parrot_core.lake.verify import verify_version
from tests.engine.test_end_to_end import Factory
from tests.support.lakes.finished_run import publish
from tests.support.lakes.toy_stages import SEEDS, synthesis
from tests.support.servers.fake_api import Reply, canonical, echo_turns, serving

pytestmark = pytest.mark.engine

SILENT_S = 65  # Prefect sends no heartbeat more often than every 30 s, and one may be lost
PATIENCE_S = 240
REQUESTS = SEEDS * 7
AT_RISK = SEEDS
"""Most requests under way at a kill: one of each session."""


def slow(number: int, body: dict[str, Any]) -> Reply:
    return Reply(echo_turns(number, body).text, delay_s=2.0)


def seeded(folder: Path, base_url: str) -> Run:
    """A run ``test`` that has all versions a synthesis needs."""
    shape = {"max_turns": 4, "min_turns": 2, "sessions_per_shard": 3, "sessions_in_flight": 1}
    run = synthesis(folder / "lake", base_url, synthesize=shape)
    publish(run.lake, "ingest", run="test")
    publish(run.lake, "train-ask", run="test")
    return run


def until(what: str, true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, f"not within {PATIENCE_S} s: {what}"
        time.sleep(0.5)


def start_worker(parrot: Factory) -> subprocess.Popen[bytes]:
    command = [
        sys.executable,
        "-c",
        "from parrot_cli.main import main; main()",
        "workers",
        "cpu",
        "api",
    ]
    log = (parrot.folder / "workers.log").open("ab")
    return subprocess.Popen(
        command,
        cwd=parrot.folder,
        env=parrot.environment,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )


def restart(server: LocalServer, home: Path, parrot: Factory) -> LocalServer:
    """Kill the server and start it again where it was, with the database that it left."""
    os.killpg(server.pid, signal.SIGKILL)
    until("the server is down", lambda: not server.healthy())
    settings = {"PREFECT_HOME": str(home), "PREFECT_SERVER_API_PORT": str(server.port)}
    process = subprocess.Popen(
        [sys.executable, "-m", "prefect", "server", "start"],
        env={**parrot.environment, **settings},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    again = LocalServer(process.pid, server.port, server.home)
    (home / "server.json").write_text(json.dumps(asdict(again)))
    until("the server is up again", again.healthy)
    return again


def test_a_run_ends_right_by_itself_after_a_restarted_server_and_a_killed_worker(
    tmp_path: Path,
) -> None:
    home = tmp_path / "prefect"
    parrot = Factory(tmp_path, {"PARROT_SERVER_HOME": str(home), "PYTHONPATH": os.getcwd()})
    with serving(slow) as api:
        base = seeded(tmp_path, api.base_url)
        recipe = pinned_before(base.recipe, "synthesize", "test").model_copy(
            update={"name": "again"}
        )
        (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe.model_dump(mode="json")))
        parrot("deploy", "recipe.yaml", "--silent", str(SILENT_S))
        server = LocalServer(**json.loads((home / "server.json").read_text()))
        workers = [start_worker(parrot)]
        try:
            deployed = httpx.get(f"{server.api_url}/deployments/name/regenerate/regenerate").json()
            start = f"{server.api_url}/deployments/{deployed['id']}/create_flow_run"
            wanted = {"parameters": {"run": "again", "until": "synthesize"}}
            assert httpx.post(start, json=wanted).status_code == 201
            until("a first answer was bought", lambda: len(api.requests) > 4)
            server = restart(server, home, parrot)
            until("it goes on", lambda: len(api.requests) > REQUESTS // 2)
            os.killpg(workers[0].pid, signal.SIGKILL)
            workers[0].wait()
            assert len(api.requests) < REQUESTS, "the run was done before the kill"
            workers.append(start_worker(parrot))
            lake = base.lake
            until("the version is there", lambda: lake.published("dataset", "dialogues", "again"))
            until("the run is done", lambda: "COMPLETED" in states(server, deployed["id"]))
            check(lake, [canonical(body) for body in api.requests])
            check_picker(server)
            assert "CRASHED" in states(server, deployed["id"])
        finally:
            for each in workers:
                with suppress(ProcessLookupError):
                    os.killpg(each.pid, signal.SIGKILL)
                each.wait()
            parrot("server", "stop")


def states(server: LocalServer, deployment: str) -> list[str]:
    wanted = {"deployments": {"id": {"any_": [deployment]}}}
    runs = httpx.post(f"{server.api_url}/flow_runs/filter", json=wanted).json()
    return [run["state_type"] for run in runs]


def check(lake: Lake, sent: list[str]) -> None:
    manifest = lake.manifest("dataset", "dialogues", "again")
    assert manifest.accounting.rows_out == SEEDS
    ids = sorted(row["id"] for row in lake.dataset("dialogues", "again").rows())
    assert ids == sorted(f"s{n}" for n in range(SEEDS))
    assert verify_version(lake, manifest) == []
    assert len(Counter(sent)) == REQUESTS
    assert len(sent) - REQUESTS <= AT_RISK, "answers that were kept were bought again"
    assert sum(used.requests for used in manifest.usage.values()) == REQUESTS


def check_picker(server: LocalServer) -> None:
    """The form of retry-failed offers both runs: neither has all its versions."""
    url = f"{server.api_url}/deployments/name/retry-failed/retry-failed"
    form = httpx.get(url).json()
    assert form["parameter_openapi_schema"]["properties"]["run"]["enum"] == ["again", "test"]
    start = f"{server.api_url}/deployments/{form['id']}/create_flow_run"
    refused = httpx.post(start, json={"parameters": {"run": "nobody"}})
    assert refused.status_code in (409, 422)
