"""Workers on a Ray cluster of two nodes in a network of their own; nodes are lost, runs stopped."""

import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch
from safetensors.torch import load_file

from parrot_core.lake.lake import Lake
from parrot_core.lake.run_records import StageRecords
from parrot_core.lake.verify import verify_version
from tests.support.lakes.recipes import minimal_recipe
from tests.support.lakes.toy_stages import SEEDS, synthesis
from tests.support.runs.command import Cli, until
from tests.support.runs.factory import sharegpt_file
from tests.support.runs.ray_nodes import RayNodes, network_of_its_own
from tests.support.servers.fake_api import FakeApi, Reply, canonical, echo_turns, serving
from tests.support.training.tiny_model import build_tiny_model

pytest.importorskip("ray")
pytestmark = pytest.mark.engine

REQUESTS = SEEDS * 7
IN_FLIGHT = 2  # a worker: one shard at a time, two of its sessions
SHAPE = {"max_turns": 4, "min_turns": 2, "sessions_per_shard": 3, "sessions_in_flight": IN_FLIGHT}


class Machines:
    """Two nodes, and the command beside them."""

    def __init__(self, folder: Path) -> None:
        self.cli = Cli(folder)
        self.nodes = RayNodes(folder, self.cli.environment)


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    with network_of_its_own():
        made = Machines(tmp_path_factory.mktemp("ray"))
        try:
            made.nodes.add()
            made.nodes.add()
            yield made
            made.cli.call("server", "stop")
        finally:
            made.nodes.close()


def slow(number: int, body: dict[str, Any]) -> Reply:
    return Reply(echo_turns(number, body).text, delay_s=0.25)


def command(machines: Machines, lake: Path, api: FakeApi, name: str, *more: str) -> tuple[str, ...]:
    """A synthesis by two workers, of published seeds, and nothing else."""
    run = synthesis(lake, api.base_url, synthesize=SHAPE, shards_at_once=1, workers=2)
    recipe = {**run.recipe.model_dump(mode="json"), "name": name, "inputs": {"seeds": "test"}}
    return "run", machines.cli.recipe(name, recipe), "--only", "synthesize", *more


def check(lake: Path, name: str, api: FakeApi, *, twice: int) -> None:
    """All is published, and no more bought twice than was in flight when something was lost."""
    opened = Lake(str(lake))
    made = opened.manifest("dataset", "dialogues", name)
    assert made.accounting.rows_out == SEEDS
    assert verify_version(opened, made) == []
    bought = Counter(canonical(body) for body in api.requests)
    assert len(bought) == REQUESTS
    assert len(api.requests) - REQUESTS <= twice


def shown(machines: Machines, kind: str, of: str) -> dict[str, str]:
    """Names and states of the flow or task runs of a run that Prefect knows."""
    address = machines.cli.call("server", "start").stdout.split()[-1]
    wanted = {"flow_runs": {"name": {"any_": [of]}}}
    found = httpx.post(f"{address}/api/{kind}_runs/filter", json=wanted).json()
    return {each["name"]: each["state_type"] for each in found}


def test_a_killed_node_costs_what_was_in_flight(machines: Machines, tmp_path: Path) -> None:
    with serving(slow) as api:
        arguments = command(
            machines, tmp_path / "lake", api, "lost", "--on", machines.nodes.address
        )
        running = machines.cli.start(*arguments)
        records = StageRecords(Lake(str(tmp_path / "lake")).storage, "lost", "synthesize")

        def claimed() -> int:
            return sum(records.shard(n).claims.top() is not None for n in range(SEEDS // 3))

        until("both are at work", lambda: claimed() > 1 and len(api.requests) > 12)
        machines.nodes.kill(1)
        assert running.wait() == 0, running.shown[-3000:]
        check(tmp_path / "lake", "lost", api, twice=IN_FLIGHT)
    assert shown(machines, "flow", "lost-synthesize") == {"lost-synthesize": "COMPLETED"}
    names = {f"lost-synthesize worker {number}/2" for number in (1, 2)}
    assert shown(machines, "task", "lost-synthesize") == dict.fromkeys(names, "COMPLETED")


def test_a_stopped_run_stops_its_workers_and_a_lost_head_is_told_and_gone_on_from(
    machines: Machines, tmp_path: Path
) -> None:
    lake = tmp_path / "lake"
    with serving(slow) as api:
        arguments = command(machines, lake, api, "stopped")
        running = machines.cli.start(*arguments, "--on", "ray://127.0.0.1:10001")
        until("8 requests", lambda: len(api.requests) >= 8)
        running.signal(signal.SIGINT)
        assert running.wait() == 130, running.shown[-3000:]
        sent = len(api.requests)
        time.sleep(1.5)
        assert len(api.requests) == sent
        records = StageRecords(Lake(str(lake)).storage, "stopped", "synthesize")

        def released() -> bool:
            tops = [records.shard(n).claims.top() for n in range(SEEDS // 3)]
            return all(top is None or top.state == "released" or top.receipt for top in tops)

        until("the workers have given up their shards", released)
        assert shown(machines, "flow", "stopped") == {"stopped": "CANCELLED"}

        running = machines.cli.start(*arguments, "--on", machines.nodes.address)
        until("it goes on", lambda: len(api.requests) >= sent + 8)
        machines.nodes.kill()
        assert running.wait() == 1, running.shown[-3000:]
        assert "the Ray head at" in running.shown
        machines.nodes.add()
        running = machines.cli.start(*arguments, "--on", machines.nodes.address)
        assert running.wait() == 0, running.shown[-3000:]
        check(lake, "stopped", api, twice=2 * IN_FLIGHT)


def test_what_no_node_has_is_told_before_anything_waits(machines: Machines, tmp_path: Path) -> None:
    with serving(slow) as api:
        gpus = "cluster.resources.synthesize.gpus=1"
        arguments = command(
            machines, tmp_path / "lake", api, "large", "--on", machines.nodes.address
        )
        ended = machines.cli.call(*arguments, "--set", "cluster={}", "--set", gpus)
        assert ended.returncode == 2
        assert "a worker takes CPU 1, GPU 1, and no node of the cluster has that" in ended.stderr
        assert api.requests == []


def test_a_workers_failure_shows_its_own_traceback_in_prefect_and_in_the_lake(
    machines: Machines, tmp_path: Path
) -> None:
    with serving(lambda number, body: Reply(status=401)) as api:
        arguments = command(machines, tmp_path / "lake", api, "refused")
        ended = machines.cli.call(*arguments, "--on", machines.nodes.address)
        assert ended.returncode == 2
        assert "HTTP 401" in ended.stderr
    states = shown(machines, "task", "refused-synthesize")
    assert states["refused-synthesize worker 1/2"] == "FAILED"
    there = 'cluster_worker.py", line'
    assert there in machines.cli.call("logs", "refused", "--lake", str(tmp_path / "lake")).stdout
    storage = Lake(str(tmp_path / "lake")).storage
    failure = storage.read_json("runs/refused/synthesize/failure.json")
    assert failure["error_type"] == "KeyRefused"
    assert there in failure["traceback"]


def test_a_training_over_two_nodes_goes_on_after_one_was_killed_and_learns_what_one_process_does(
    machines: Machines, tmp_path: Path
) -> None:
    recipe = minimal_recipe(
        str(tmp_path / "lake"),
        ingest={"sources": [str(sharegpt_file(tmp_path / "chats.json", 60))], "languages": []},
        train_ask={
            "base": str(build_tiny_model(tmp_path / "model")),
            "max_length": 128,
            "batch_size": 16,  # so that the loss of a node falls amid the training
            "epochs": 100,
            "max_steps": 150,
            "save_steps": 10,
            "precision": "fp32",
        },
        cluster={"address": machines.nodes.address, "resources": {"train-ask": {"gpus": 0}}},
    )
    path = machines.cli.recipe("trained", recipe.model_dump(mode="json"))
    arguments = ("run", path, "--until", "train-ask")
    machines.nodes.add()
    alone = machines.cli.start(*arguments, "--name", "alone", "--on", "here")
    over_two = ("--name", "over-two", "--set", "train_ask.devices.nodes=2")
    running = machines.cli.start(*arguments, *over_two)
    lake = Lake(str(tmp_path / "lake"))
    records = StageRecords(lake.storage, "over-two", "train-ask").shard(0)

    def trains() -> bool:
        told = records.progress()
        return told is not None and told.done > 12

    until("12 steps", lambda: trains() or running.process.poll() is not None)
    machines.nodes.kill(1)

    def seen() -> bool:
        return bool(records.failures()) or running.process.poll() is not None

    until("it is seen", seen, 400.0)  # after its last step torch's exit barrier waits for 300 s
    machines.nodes.add()
    assert running.wait() == 0, running.shown[-3000:]
    assert alone.wait() == 0, alone.shown[-3000:]
    assert lake.manifest("model", "parrot-ask", "over-two").metrics["processes"] == 2
    mine, theirs = (weights_of(lake, run, tmp_path) for run in ("over-two", "alone"))
    for name, tensor in theirs.items():
        torch.testing.assert_close(mine[name], tensor, rtol=1e-2, atol=1e-3)


def weights_of(lake: Lake, run: str, scratch: Path) -> dict[str, torch.Tensor]:
    """What a run has taught the asker."""
    folder = lake.model("parrot-ask", run).local_copy(scratch / run)
    return load_file(folder / "model.safetensors")
