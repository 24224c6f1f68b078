"""vLLM that hangs, loses its guard or is killed in mid-work: real processes, two replicas."""

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
from parrot_core.recipe import Recipe
from tests.support.lakes.recipes import minimal_recipe
from tests.support.lakes.toy_stages import SEEDS, SeedStage, ToyModelStage, drive
from tests.support.runs.command import until
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


class Watch:
    """The keys of what was bought, by file of the journal, which goes when the shard is done."""

    def __init__(self, run: Run, lake: Path) -> None:
        records = StageRecords(run.lake.storage, run.name, "synthesize")
        self._folder = lake / records.shard(0).journal_folder
        self.bought: dict[Path, list[str]] = {}
        self.over = threading.Event()

    def keys(self) -> list[str]:
        for file in self._folder.glob("*.parquet"):
            if file not in self.bought:
                with suppress(FileNotFoundError):
                    self.bought[file] = pl.read_parquet(file)["key"].to_list()
        return [key for keys in self.bought.values() for key in keys]

    def wait_for_more(self, number: int) -> None:
        enough = len(self.keys()) + number
        while len(self.keys()) < enough:
            time.sleep(0.02)

    def to_the_end(self) -> None:
        while not self.over.wait(0.02):
            self.keys()


def harm(watch: Watch, started: Started) -> None:
    """Hang one of two in mid-work; of those that follow kill one's guard alone, the other whole."""
    server, _ = ready(started, 0)
    watch.wait_for_more(10)
    hang(server)
    guarded, whole = ready(started, 1)
    os.kill(guarded._process.pid, signal.SIGKILL)
    watch.wait_for_more(1)  # so that it is at work
    os.killpg(whole._process.pid, signal.SIGKILL)
    watch.to_the_end()


def ready(started: Started, pair: int) -> list[VllmServer]:
    """A pair of servers, when both serve."""
    while len(both := started.servers[2 * pair : 2 * pair + 2]) < 2 or not all(
        each._healthy() for each in both
    ):
        time.sleep(0.1)
    return both


def hang(server: VllmServer) -> None:
    """Stop the process that computes, behind the one that answers."""
    below = psutil.Process(server._process.pid).children(recursive=True)
    engine = max(below[1:], key=lambda each: each.memory_info().rss)  # the first one is the API
    engine.send_signal(signal.SIGSTOP)
    assert server._healthy(), "its health says nothing"


def left(started: Started) -> list[psutil.Process]:
    """Processes that still run in the groups of the servers."""
    groups = {server._process.pid for server in started.servers}
    found = []
    for each in psutil.process_iter(["status"]):
        with suppress(ProcessLookupError):
            if os.getpgid(each.pid) in groups and each.info["status"] != psutil.STATUS_ZOMBIE:
                found.append(each)
    return found


def recipe_of(lake: Path, model: Path) -> Recipe:
    """All engines are one vLLM of two replicas."""
    engine = {
        "kind": "vllm",
        "model": str(model),
        "max_model_len": 2048,
        "dtype": "float32",
        "replicas": 2,
        "limits": {"timeout_s": 15},
    }
    sampling = {"temperature": 0.8, "max_tokens": 32}
    return minimal_recipe(
        str(lake),
        engines=dict.fromkeys(("asker", "answerer", "judge"), engine),
        synthesize={
            "max_turns": 12,
            "min_turns": 1,
            "sessions_per_shard": SEEDS,
            "ask": sampling,
            "answer": sampling,
            "keep_truncated": True,  # so small a model ends hardly any text
        },
        inputs={"parrot-ask": "test"},
    )


def test_a_vllm_that_hangs_or_is_killed_is_started_again_and_no_answer_is_bought_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PARROT_WORK", str(tmp_path / "work"))
    started = Started()
    monkeypatch.setattr(vllm_fleet, "VllmServer", started)
    monkeypatch.setattr(vllm_server, "TOKEN_TIMEOUT_S", 15.0)
    lake = tmp_path / "lake"
    recipe = recipe_of(lake, build_tiny_model(tmp_path / "tiny"))
    run = begin_run(recipe)
    drive(run, SeedStage(SEEDS))
    monkeypatch.setattr(ToyModelStage, "size", 1024)
    drive(run, ToyModelStage())

    watch = Watch(run, lake)
    harmer = threading.Thread(target=harm, args=(watch, started), daemon=True)
    harmer.start()
    with prefect_test_harness():
        synthesize(recipe)
    watch.over.set()
    harmer.join(10)

    assert not harmer.is_alive(), "a server that it waits for was never there"
    assert len(started.servers) == 6
    until("no process of theirs is left", lambda: not left(started))
    failures = StageRecords(run.lake.storage, run.name, "synthesize").shard(0).failures()
    assert "hangs: no token in 15 s" in failures[0].message
    assert "killed without a word" in failures[1].message
    rows = list(run.lake.dataset("dialogues", "test").rows())
    assert len(rows) == SEEDS
    used = {
        entry["request_key"] for row in rows for entry in row["provenance"] if entry["request_key"]
    }
    keys = watch.keys()
    assert len(keys) == len(set(keys))
    assert used & {*keys[:10]}  # what the hung process had answered is in the dialogues
