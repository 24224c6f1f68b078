"""A night at high speed, as docs/how-to/operations.md tells it.

A schedule fires, a stage's process is killed, the Prefect server dies with its database and comes
back, a shard is poisoned, the budget is reached. What happened is in the status, whoever is on call
was told, and in the morning two commands finish the run.
"""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml

from parrot_cli.prefect_server import LocalServer
from parrot_core.execution.pinning import pinned_before
from parrot_core.lake.run_records import newest_runs
from tests.support.runs.factory import Factory
from tests.support.runs.pool_workers import check, restart, seeded, start_worker, until
from tests.support.servers import patient_http
from tests.support.servers.fake_api import Reply, canonical, echo_turns, serving
from tests.support.servers.webhook import Webhook, listening_webhook

pytestmark = pytest.mark.engine

NIGHT_USD, MORNING_USD = 8, 100
"""All of it costs 21 dollars."""


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    with listening_webhook() as hook:
        yield hook


def test_a_night_ends_as_the_handbook_says(tmp_path: Path, webhook: Webhook) -> None:
    home = tmp_path / "prefect"
    parrot = Factory(tmp_path, {"PARROT_SERVER_HOME": str(home), "PYTHONPATH": os.getcwd()})
    delay_s = [2.0]

    def slow(number: int, body: dict[str, Any]) -> Reply:
        return Reply(echo_turns(number, body).text, delay_s=delay_s[0])

    with serving(slow) as api:
        lake = recipe_of_the_night(tmp_path, api.base_url)
        healthy = poison(tmp_path / "lake")
        said = parrot(
            *("deploy", "recipe.yaml", "--cron", "* * * * *", "--run", "night-%Y-%m-%d"),
            *("--overlap", "refuse", "--webhook", webhook.url),
        )
        assert "next run: " in said
        assert "* * * * * UTC" in parrot("list")
        server = LocalServer(**json.loads((home / "server.json").read_text()))
        workers = start_worker(parrot)
        try:
            until("the schedule fires", lambda: newest_runs(lake.storage)[0].startswith("night-"))
            run = newest_runs(lake.storage)[0]
            pause_schedule(server)
            until("answers are bought", lambda: len(api.requests) > 4)
            (first,) = stage_runs(server, run)
            kill_process_of(first["id"])
            until("it is begun again", lambda: len(stage_runs(server, run)) == 2)
            assert stage_runs(server, run)[0]["state_type"] == "CRASHED"
            before = len(api.requests)
            until("it goes on", lambda: len(api.requests) > before + 3)
            server = restart(server, home, parrot.environment)
            until("the budget is reached", lambda: state_of(server, run) == "FAILED")
            until("whoever is on call is told", lambda: "budget reached" in told(webhook))
            shown = parrot("status", run, "--lake", "lake")
            assert "budget reached" in shown
            assert "synthesize shard 1 (2 attempts, in quarantine): CorruptFile" in shown

            delay_s[0] = 0.05
            given = ("--lake", "lake", "--set", f"budget_usd={MORNING_USD}")
            last = parrot("retry", run, *given, code=1).strip().splitlines()[-1]
            assert "1 of 4 shards of 'synthesize' failed (shard 1: " in last
            assert "--quarantined" in last
            healthy()
            parrot("retry", run, "--lake", "lake", "--quarantined")
            assert f"{run} done" in parrot("status", run, "--lake", "lake")
            check(lake, [canonical(body) for body in api.requests], run)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(workers.pid, signal.SIGKILL)
            workers.wait()
            parrot("server", "stop")


def recipe_of_the_night(folder: Path, base_url: str) -> Any:
    """Write the recipe that is deployed; returns the lake."""
    base = seeded(folder, base_url)
    short = {"max_tokens": 16}  # so that what is reserved before a request fits the budget
    shape = base.recipe.synthesize.model_dump() | {"ask": short, "answer": short}
    recipe = pinned_before(base.recipe, "synthesize", "test").model_dump(mode="json") | {
        "name": "night",
        "stages": ["synthesize"],
        "synthesize": shape,
        "shards_at_once": 2,
        "shard_retries": 1,
        "max_attempts": 2,
        "budget_usd": NIGHT_USD,
    }
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    return base.lake


def poison(lake: Path) -> Any:
    """Flip a bit in what shard 1 reads; returns what mends it."""
    (file,) = (lake / "datasets/seeds/test/shards").glob("00003-*")
    right = file.read_bytes()
    file.write_bytes(bytes([*right[:20], right[20] ^ 1, *right[21:]]))
    return lambda: file.write_bytes(right)


def pause_schedule(server: LocalServer) -> None:
    """One night is enough."""
    found = patient_http.get(f"{server.api_url}/deployments/name/regenerate/regenerate").json()
    (schedule,) = found["schedules"]
    url = f"{server.api_url}/deployments/{found['id']}/schedules/{schedule['id']}"
    patient_http.patch(url, json={"active": False}).raise_for_status()


def flow_runs(server: LocalServer, name: str) -> list[dict[str, Any]]:
    """Those of a name that have begun, the oldest first."""
    wanted = {"flow_runs": {"name": {"any_": [name]}, "start_time": {"is_null_": False}}}
    found = patient_http.post(f"{server.api_url}/flow_runs/filter", json=wanted).json()
    return sorted(found, key=lambda each: str(each["start_time"]))


def stage_runs(server: LocalServer, run: str) -> list[dict[str, Any]]:
    return flow_runs(server, f"{run}-synthesize")


def state_of(server: LocalServer, run: str) -> str:
    return str(flow_runs(server, run)[0]["state_type"])


def kill_process_of(flow_run: str) -> None:
    """As the kernel does it to whoever takes too much memory."""
    wanted = f"PREFECT__FLOW_RUN_ID={flow_run}".encode()
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if entry.name.isdigit() and wanted in (entry / "environ").read_bytes().split(b"\0"):
                os.kill(int(entry.name), signal.SIGKILL)


def told(webhook: Webhook) -> str:
    return " ".join(each["text"] for each in webhook.told)
