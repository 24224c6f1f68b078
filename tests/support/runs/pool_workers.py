"""A deployed synthesis with workers of its own, and what must hold at its end."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from parrot_cli.prefect_server import LocalServer
from parrot_core.lake.lake import Lake
from parrot_core.lake.run import Run
from parrot_core.lake.verify import verify_version
from tests.support.lakes.run_state import publish
from tests.support.lakes.toy_stages import SEEDS, synthesis
from tests.support.runs.factory import Factory
from tests.support.servers.fake_api import Reply, echo_turns

AT_RISK = SEEDS
"""Most requests under way at a kill: one of each session."""


REQUESTS = SEEDS * 7


PATIENCE_S = 240


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


def start_worker(
    parrot: Factory, pools: Sequence[str] = ("cpu", "api"), limit: int = 0
) -> subprocess.Popen[bytes]:
    program = "from parrot_cli.main import main; main()"
    command = [sys.executable, "-c", program, "workers", *pools]
    command += ["--limit", str(limit)] if limit else []
    log = (parrot.folder / "workers.log").open("ab")
    return subprocess.Popen(
        command,
        cwd=parrot.folder,
        env=parrot.environment,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )


def check(lake: Lake, sent: list[str], run: str = "again") -> None:
    manifest = lake.manifest("dataset", "dialogues", run)
    assert manifest.accounting.rows_out == SEEDS
    ids = sorted(row["id"] for row in lake.dataset("dialogues", run).rows())
    assert ids == sorted(f"s{n}" for n in range(SEEDS))
    assert verify_version(lake, manifest) == []
    assert len(Counter(sent)) == REQUESTS
    assert len(sent) - REQUESTS <= AT_RISK, "answers that were kept were bought again"
    assert sum(used.requests for used in manifest.usage.values()) == REQUESTS


def restart(server: LocalServer, home: Path, environment: Mapping[str, str]) -> LocalServer:
    """Kill the server and start it again where it was, with the database that it left."""
    os.killpg(server.pid, signal.SIGKILL)
    until("the server is down", lambda: not server.healthy())
    settings = {"PREFECT_HOME": str(home), "PREFECT_SERVER_API_PORT": str(server.port)}
    process = subprocess.Popen(
        [sys.executable, "-m", "prefect", "server", "start"],
        env={**environment, **settings},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    again = LocalServer(process.pid, server.port, server.home)
    (home / "server.json").write_text(json.dumps(asdict(again)))
    until("the server is up again", again.healthy)
    return again
