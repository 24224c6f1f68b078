"""A server that is away: what waits for it, and what is left out instead of ending a run."""

from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from flows.server_outage import HEARTBEAT, PATIENCE, SILENT_S, tried
from tests.support.lakes.run_log import RunLog

PROJECT = Path(__file__).resolve().parents[3]


def test_what_can_be_written_is_written(run_log: RunLog) -> None:
    assert tried(lambda: "an artifact") == "an artifact"
    assert run_log.warnings == []


@pytest.mark.filterwarnings("ignore:Artifact creation outside of a flow")
def test_an_unreachable_server_leaves_out_what_a_run_can_do_without(run_log: RunLog) -> None:
    from prefect.artifacts import create_progress_artifact
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        written = tried(lambda: create_progress_artifact(1.0, key="progress"), patient=False)
    assert written is None
    assert len(run_log.warnings) == 1
    assert run_log.warnings[0].startswith("left out: ConnectError")


def test_what_is_shown_meanwhile_is_asked_for_once_and_what_stays_as_often_as_anything() -> None:
    from prefect.settings import PREFECT_CLIENT_MAX_RETRIES

    as_set = PREFECT_CLIENT_MAX_RETRIES.value()
    assert tried(PREFECT_CLIENT_MAX_RETRIES.value) == as_set > 0
    assert tried(PREFECT_CLIENT_MAX_RETRIES.value, patient=False) == 0


def test_a_mistake_of_ours_is_not_taken_for_an_absent_server(run_log: RunLog) -> None:
    with pytest.raises(ZeroDivisionError):
        tried(lambda: 1 / 0)


def test_prefects_refusal_is_left_out_too(run_log: RunLog) -> None:
    request = httpx.Request("POST", "http://127.0.0.1:9/api/artifacts/")

    def refused() -> None:
        response = httpx.Response(500, request=request)
        raise httpx.HTTPStatusError("Internal Server Error", request=request, response=response)

    assert tried(refused) is None
    assert run_log.warnings == ["left out: HTTPStatusError: Internal Server Error"]


def settings_in(file: str) -> Any:
    return yaml.safe_load((PROJECT / file).read_text(encoding="utf-8"))


def test_every_deployed_flow_runs_with_patience_and_a_heartbeat_whoever_starts_its_worker() -> None:
    for deployment in settings_in("deployments/prefect.yaml")["deployments"]:
        environment = deployment["work_pool"]["job_variables"]["env"]
        assert environment == {**PATIENCE, **HEARTBEAT}, deployment["name"]


def test_workers_in_containers_have_the_same_patience() -> None:
    dockerfile = (PROJECT / "docker/Dockerfile").read_text(encoding="utf-8")
    for name, value in {**PATIENCE, **HEARTBEAT}.items():
        assert f" {name}={value} " in dockerfile, name


def test_a_server_may_be_away_for_as_long_as_clients_wait_and_no_run_counts_as_lost() -> None:
    waits = sum(2**tries for tries in range(1, 1 + int(PATIENCE["PREFECT_CLIENT_MAX_RETRIES"])))
    (between_heartbeats,) = map(int, HEARTBEAT.values())
    assert waits > 240
    assert waits + between_heartbeats < SILENT_S
