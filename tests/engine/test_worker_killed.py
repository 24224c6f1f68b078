"""Deployed runs whose workers are killed, whose server is restarted: they end by themselves."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml

from parrot_cli.prefect_server import LocalServer
from parrot_core.execution.pinning import pinned_before
from parrot_core.lake.run_records import StageRecords
from tests.support.lakes.toy_stages import SEEDS
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
from tests.support.servers.fake_api import FakeApi, canonical, serving

pytestmark = pytest.mark.engine

SILENT_S = 65  # Prefect sends no heartbeat more often than every 30 s, and one may be lost


class Deployed:
    """A server with the deployments of a run ``test``, whose synthesis asks a slow API."""

    def __init__(self, folder: Path, api: FakeApi) -> None:
        self.home = folder / "prefect"
        environment = {"PARROT_SERVER_HOME": str(self.home), "PYTHONPATH": os.getcwd()}
        self.parrot, self.api = Factory(folder, environment), api
        base = seeded(folder, api.base_url)
        self.lake, self.recipe = base.lake, pinned_before(base.recipe, "synthesize", "test")
        (folder / "recipe.yaml").write_text(yaml.safe_dump(self.recipe.model_dump(mode="json")))
        self.parrot("deploy", "recipe.yaml", "--silent", str(SILENT_S))
        self.server = LocalServer(**json.loads((self.home / "server.json").read_text()))
        url = f"{self.server.api_url}/deployments/name/regenerate/regenerate"
        self._start = f"deployments/{patient_http.get(url).json()['id']}/create_flow_run"
        self._machines: list[subprocess.Popen[bytes]] = []

    def begin(self, name: str, **changes: Any) -> None:
        recipe = self.recipe.model_copy(update={"name": name, **changes}).model_dump(mode="json")
        wanted = {"recipe": recipe, "run": name, "until": "synthesize"}
        begun = patient_http.post(
            f"{self.server.api_url}/{self._start}", json={"parameters": wanted}
        )
        assert begun.status_code == 201

    def states(self, name: str) -> dict[str, str]:
        """Flow runs whose names begin so, with their states."""
        wanted = {"flow_runs": {"name": {"like_": name}}}
        runs = patient_http.post(f"{self.server.api_url}/flow_runs/filter", json=wanted).json()
        return {run["name"]: run["state_type"] for run in runs}

    def add(self, *pools: str, limit: int = 0) -> subprocess.Popen[bytes]:
        self._machines.append(start_worker(self.parrot, pools, limit))
        return self._machines[-1]

    def kill_all(self) -> None:
        for each in self._machines:
            with suppress(ProcessLookupError):
                os.killpg(each.pid, signal.SIGKILL)
            each.wait()


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    with serving(slow) as api:
        made = Deployed(tmp_path_factory.mktemp("deployed"), api)
        yield made
        made.kill_all()
        made.parrot("server", "stop")


def test_a_lost_worker_of_two_leaves_its_share_to_the_other(deployed: Deployed) -> None:
    api, lake = deployed.api, deployed.lake
    quick = deployed.recipe.synthesize.model_copy(update={"sessions_in_flight": 3})
    deployed.add("cpu")
    killed = [deployed.add("api", limit=1) for _ in range(2)][1]
    deployed.begin("shared", workers={"synthesize": 2}, shards_at_once=1, synthesize=quick)
    records = StageRecords(lake.storage, "shared", "synthesize")

    def holders() -> set[int]:
        tops = [records.shard(number).claims.top() for number in range(SEEDS // 3)]
        return {top.holder.pid for top in tops if top is not None}

    until("two workers are at it", lambda: len(holders()) == 2)
    os.killpg(killed.pid, signal.SIGKILL)
    until("the run is done", lambda: deployed.states("shared").get("shared") == "COMPLETED")
    check(lake, sent := [canonical(body) for body in api.requests], "shared")
    assert len(sent) - REQUESTS <= quick.sessions_in_flight
    both = deployed.states("shared-synthesize worker")
    assert both.keys() == {f"shared-synthesize worker {number}/2" for number in (1, 2)}
    assert sorted(both.values()) == ["COMPLETED", "CRASHED"]
    said = deployed.parrot("logs", "shared", "--lake", deployed.recipe.lake)
    assert "published dialogues@shared" in said, "a worker's own line"
    deployed.kill_all()


def test_a_run_ends_right_by_itself_after_a_restarted_server_and_a_killed_worker(
    deployed: Deployed,
) -> None:
    lake, before = deployed.lake, len(deployed.api.requests)

    def sent() -> list[str]:
        return [canonical(body) for body in deployed.api.requests[before:]]

    def states() -> list[str]:
        wanted = {"flow_runs": {"name": {"any_": ["again"]}}}
        runs = patient_http.post(f"{deployed.server.api_url}/flow_runs/filter", json=wanted).json()
        return [run["state_type"] for run in runs]

    killed = deployed.add("cpu", "api")
    deployed.begin("again")
    until("a first answer was bought", lambda: len(sent()) > 4)
    deployed.server = restart(deployed.server, deployed.home, deployed.parrot.environment)
    until("it goes on", lambda: len(sent()) > REQUESTS // 2)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    assert len(sent()) < REQUESTS, "the run was done before the kill"
    deployed.add("cpu", "api")
    until("the version is there", lambda: lake.published("dataset", "dialogues", "again"))
    until("the run is done", lambda: "COMPLETED" in states())
    check(lake, sent())
    check_picker(deployed.server)
    assert "CRASHED" in states()


def check_picker(server: LocalServer) -> None:
    """The form of retry-failed offers both runs: neither has all its versions."""
    url = f"{server.api_url}/deployments/name/retry-failed/retry-failed"
    form = patient_http.get(url).json()
    assert form["parameter_openapi_schema"]["properties"]["run"]["enum"] == [
        "again",
        "shared",
        "test",
    ]
    start = f"{server.api_url}/deployments/{form['id']}/create_flow_run"
    refused = patient_http.post(start, json={"parameters": {"run": "nobody"}})
    assert refused.status_code in (409, 422)
