"""vLLM killed in the middle: real processes, two replicas of a tiny model, ``kill -9``."""

import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from prefect.testing.utilities import prefect_test_harness

from flows.stages import synthesize
from parrot_core.engines.vllm import fleet as vllm_fleet
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


def kill_one_when_busy(run: Run, lake: Path, started: Started, bought: set[str]) -> None:
    deadline = time.monotonic() + 300
    while len(bought) < 10 and time.monotonic() < deadline:
        time.sleep(0.02)
        bought |= journaled(run, lake)
    os.killpg(started.servers[1]._process.pid, signal.SIGKILL)


def test_a_killed_vllm_is_started_again_and_no_answer_is_bought_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PARROT_WORK", str(tmp_path / "work"))
    started = Started()
    monkeypatch.setattr(vllm_fleet, "VllmServer", started)
    lake = tmp_path / "lake"
    engine = {
        "kind": "vllm",
        "model": str(build_tiny_model(tmp_path / "tiny")),
        "max_model_len": 1024,
        "dtype": "float32",
        "replicas": 2,
    }
    sampling = {"temperature": 0.8, "max_tokens": 32}
    recipe = minimal_recipe(
        str(lake),
        engines=dict.fromkeys(("asker", "answerer", "judge"), engine),
        synthesize={
            "max_turns": 4,
            "min_turns": 1,
            "sessions_per_shard": SEEDS,
            "ask": sampling,
            "answer": sampling,
            "keep_truncated": True,  # so small a model ends hardly any text
        },
        inputs={"parrot-ask": "test"},
    )
    run = begin_run(recipe)
    drive(run, SeedStage(SEEDS))
    monkeypatch.setattr(ToyModelStage, "size", 1024)
    drive(run, ToyModelStage())

    bought: set[str] = set()
    killer = threading.Thread(target=kill_one_when_busy, args=(run, lake, started, bought))
    killer.start()
    with prefect_test_harness():
        synthesize(recipe)
    killer.join()

    assert len(started.servers) == 4
    assert len(bought) >= 10
    rows = list(run.lake.dataset("dialogues", "test").rows())
    rejects = list(run.lake.dataset("dialogues", "test").rejects())
    assert len(rows) + len(rejects) == SEEDS
    used = {
        entry["request_key"] for row in rows for entry in row["provenance"] if entry["request_key"]
    }
    assert not rejects
    assert bought <= used  # what the dead process had answered is what the dialogues hold
