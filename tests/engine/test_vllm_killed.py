"""vLLM killed, stopped and orphaned in the middle: real processes, two replicas of a tiny model."""

import os
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import polars as pl
import psutil
import pytest
from prefect.testing.utilities import prefect_test_harness

from flows.stages import synthesize
from parrot_core.engines.vllm import fleet as vllm_fleet
from parrot_core.engines.vllm import server as vllm_server
from parrot_core.engines.vllm.server import VllmServer
from parrot_core.execution.runs import begin_run
from parrot_core.lake.run import Run
from parrot_core.lake.run_records import StageRecords
from tests.support.lakes.recipes import minimal_recipe
from tests.support.lakes.toy_stages import SEEDS, SeedStage, ToyModelStage, drive
from tests.support.training.tiny_model import build_tiny_model

pytestmark = pytest.mark.engine


class Started:
    """The vLLM processes as they are started, through the real class."""

    def __init__(self) -> None:
        self.servers: list[VllmServer] = []

    def __call__(self, *arguments: Any) -> VllmServer:
        server = VllmServer(*arguments)
        self.servers.append(server)
        return server


def journaled(run: Run, lake: Path) -> set[str]:
    state = StageRecords(run.lake.storage, run.name, "synthesize")
    files = run.lake.storage.list(state.shard(0).journal_folder)
    keys: set[str] = set()
    for file in files:
        keys |= set(pl.read_parquet(lake / file)["key"])
    return keys


def harm_them_when_busy(run: Run, lake: Path, started: Started, bought: set[str]) -> None:
    """Kill one, hang one of those that follow, and at last kill a guard alone."""
    for servers, harm in ((2, kill), (4, hang), (6, kill_the_guard)):
        while len(started.servers) < servers or not started.servers[servers - 1]._healthy():
            time.sleep(0.1)
        bought |= journaled(run, lake)
        least = len(bought) + 10
        while len(bought) < least:
            time.sleep(0.02)
            bought |= journaled(run, lake)
        harm(started.servers[servers - 1])


def kill(server: VllmServer) -> None:
    os.killpg(server._process.pid, signal.SIGKILL)


def hang(server: VllmServer) -> None:
    """Stop the process that computes, behind the one that answers."""
    below = psutil.Process(server._process.pid).children(recursive=True)
    engine = max(below[1:], key=lambda each: each.memory_info().rss)  # the first one is the API
    engine.send_signal(signal.SIGSTOP)
    assert server._healthy(), "its health says nothing"


def kill_the_guard(server: VllmServer) -> None:
    os.kill(server._process.pid, signal.SIGKILL)


def left(work: Path) -> list[str]:
    """Processes that still run with our folder in their environment."""
    found = []
    for each in psutil.process_iter():
        with suppress(psutil.Error):
            if each.pid != os.getpid() and each.environ().get("PARROT_WORK") == str(work):
                found.append(" ".join(each.cmdline()))
    return [command for command in found if "prefect" not in command]


def test_a_vllm_that_is_killed_or_hangs_is_started_again_and_no_answer_is_bought_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PARROT_WORK", str(tmp_path / "work"))
    started = Started()
    monkeypatch.setattr(vllm_fleet, "VllmServer", started)
    monkeypatch.setattr(vllm_server, "TOKEN_TIMEOUT_S", 10.0)
    lake = tmp_path / "lake"
    engine = {
        "kind": "vllm",
        "model": str(build_tiny_model(tmp_path / "tiny")),
        "max_model_len": 2048,
        "dtype": "float32",
        "replicas": 2,
        "limits": {"timeout_s": 10},
    }
    sampling = {"temperature": 0.8, "max_tokens": 32}
    recipe = minimal_recipe(
        str(lake),
        engines=dict.fromkeys(("asker", "answerer", "judge"), engine),
        synthesize={
            "max_turns": 24,
            "min_turns": 1,
            "sessions_per_shard": SEEDS,
            "ask": sampling,
            "answer": sampling,
            "keep_truncated": True,  # so small a model ends hardly any text
        },
        inputs={"parrot-ask": "test"},
        shard_retries=4,
    )
    run = begin_run(recipe)
    drive(run, SeedStage(SEEDS))
    monkeypatch.setattr(ToyModelStage, "size", 1024)
    drive(run, ToyModelStage())

    bought: set[str] = set()
    killer = threading.Thread(
        target=harm_them_when_busy, args=(run, lake, started, bought), daemon=True
    )
    killer.start()
    with prefect_test_harness():
        synthesize(recipe)
    killer.join(10)
    assert not killer.is_alive(), "it was never busy enough to be harmed"

    assert len(started.servers) >= 6
    assert len(bought) >= 30
    assert left(tmp_path / "work") == []
    rows = list(run.lake.dataset("dialogues", "test").rows())
    rejects = list(run.lake.dataset("dialogues", "test").rejects())
    assert len(rows) + len(rejects) == SEEDS
    used = {
        entry["request_key"] for row in rows for entry in row["provenance"] if entry["request_key"]
    }
    assert not rejects
    assert bought <= used  # what the dead process had answered is what the dialogues hold
