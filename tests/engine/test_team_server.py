"""A deployed run on PostgreSQL and Redis, whose database goes away and whose API is restarted."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from parrot_core.execution.pinning import pinned_before
from tests.support.runs.factory import Factory
from tests.support.runs.pool_workers import REQUESTS, check, seeded, slow, start_worker
from tests.support.servers.fake_api import canonical, serving
from tests.support.servers.team_server import TeamServer, end, missing, team_server, wait_until

LACKING = missing()
pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(bool(LACKING), reason=f"this machine lacks {LACKING}"),
]

AWAY_S = float(os.environ.get("PARROT_TEST_DATABASE_AWAY_S", "20"))
PATIENCE_S = 240 + 3 * AWAY_S


@pytest.fixture
def server(tmp_path: Path) -> Iterator[TeamServer]:
    folder = tmp_path / "team"
    folder.mkdir()
    with team_server(folder) as running:
        yield running


def test_a_run_ends_right_by_itself_with_the_database_away_and_the_api_restarted(
    server: TeamServer, tmp_path: Path
) -> None:
    parrot = Factory(tmp_path, {**server.client_environment, "PYTHONPATH": os.getcwd()})
    with serving(slow) as api, server.client() as prefect:
        base = seeded(tmp_path, api.base_url)
        recipe = pinned_before(base.recipe, "synthesize", "test").model_copy(
            update={"name": "again"}
        )
        (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe.model_dump(mode="json")))
        parrot("deploy", "recipe.yaml")
        workers = start_worker(parrot)
        try:
            deployed = prefect.get("/deployments/name/regenerate/regenerate").json()["id"]
            wanted = {"parameters": {"run": "again", "until": "synthesize"}}
            begun = prefect.post(f"/deployments/{deployed}/create_flow_run", json=wanted)
            assert begun.status_code == 201
            wait_until("a first answer was bought", lambda: len(api.requests) > 4, PATIENCE_S)
            server.postgres.stop()
            time.sleep(AWAY_S)
            server.postgres.start()
            server.stop("api")
            server.start_api()
            wait_until("the run has ended", lambda: ended(prefect, deployed), PATIENCE_S)
            assert flow_runs(prefect, deployed) == ["COMPLETED"]
            sent = [canonical(body) for body in api.requests]
            check(base.lake, sent)
            assert len(sent) == REQUESTS, "something was bought again"
            assert server.alive() == {"api", "services"}
        finally:
            end(workers)


def ended(prefect: Any, deployment: str) -> bool:
    return bool({"COMPLETED", "FAILED", "CRASHED"} & set(flow_runs(prefect, deployment)))


def flow_runs(prefect: Any, deployment: str) -> list[str]:
    """The states of a deployment's runs."""
    wanted = {"deployments": {"id": {"any_": [deployment]}}}
    found = prefect.post("/flow_runs/filter", json=wanted)
    return [run["state_type"] for run in found.json()] if found.status_code == 200 else []
