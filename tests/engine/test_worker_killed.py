"""A deployed run whose server is restarted and whose worker is killed: it ends by itself."""

import json
import os
import signal
from contextlib import suppress
from pathlib import Path

import pytest
import yaml

from parrot_cli.prefect_server import LocalServer
from parrot_core.execution.pinning import pinned_before
from tests.support.runs.factory import Factory
from tests.support.runs.pool_workers import (
    REQUESTS,
    check,
    restart,
    seeded,
    slow,
    start_worker,
    until,
)
from tests.support.servers import patient_http
from tests.support.servers.fake_api import canonical, serving

pytestmark = pytest.mark.engine

SILENT_S = 65  # Prefect sends no heartbeat more often than every 30 s, and one may be lost


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
            deployed = patient_http.get(
                f"{server.api_url}/deployments/name/regenerate/regenerate"
            ).json()
            start = f"{server.api_url}/deployments/{deployed['id']}/create_flow_run"
            wanted = {"parameters": {"run": "again", "until": "synthesize"}}
            assert patient_http.post(start, json=wanted).status_code == 201
            until("a first answer was bought", lambda: len(api.requests) > 4)
            server = restart(server, home, parrot.environment)
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
    runs = patient_http.post(f"{server.api_url}/flow_runs/filter", json=wanted).json()
    return [run["state_type"] for run in runs]


def check_picker(server: LocalServer) -> None:
    """The form of retry-failed offers both runs: neither has all its versions."""
    url = f"{server.api_url}/deployments/name/retry-failed/retry-failed"
    form = patient_http.get(url).json()
    assert form["parameter_openapi_schema"]["properties"]["run"]["enum"] == ["again", "test"]
    start = f"{server.api_url}/deployments/{form['id']}/create_flow_run"
    refused = patient_http.post(start, json={"parameters": {"run": "nobody"}})
    assert refused.status_code in (409, 422)
