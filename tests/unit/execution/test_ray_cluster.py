"""What a driver finds out of a Ray cluster before it sends a worker there. Needs no Ray."""

import importlib.util
import socket
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from parrot_core.errors import UserError, WorkersLost
from parrot_core.execution import ray_cluster
from parrot_core.execution.ray_cluster import (
    HEAD_AWAY_S,
    Head,
    Node,
    check_address,
    check_nodes,
    fitting_nodes,
    needs_of,
)
from parrot_core.execution.runs import begin_run
from parrot_core.lake.run import Run
from parrot_core.recipe import Cluster, VllmEngine
from parrot_core.stages.registry import stage_named
from parrot_core.version import __version__
from tests.support.lakes.recipes import minimal_recipe

GPU_NODE = Node("a", "10.0.0.1", {"CPU": 8.0, "GPU": 4.0, "memory": 1e9, "node:10.0.0.1": 1.0})
GOOD = {"version": __version__, "shared": True, "missing": []}


def run_of(folder: Path, **changes: Any) -> Run:
    return begin_run(minimal_recipe(str(folder), **changes))


def needs(run: Run, stage: str, **resources: Any) -> dict[str, float]:
    cluster = Cluster.model_validate({"resources": {stage: resources}})
    return needs_of(run, stage_named(stage), cluster)


def test_a_worker_takes_the_gpus_of_its_models_or_its_training(tmp_path: Path) -> None:
    run = run_of(tmp_path, train_sft={"base": "tiny", "devices": {"processes": 8}})
    assert needs(run, "synthesize") == {"CPU": 1, "GPU": 0}
    assert needs(run, "train-sft") == {"CPU": 1, "GPU": 8}
    asker = VllmEngine(model="m", args=("--tensor-parallel-size=4",), replicas=2)
    served = {**run.recipe.engines, "asker": asker, "answerer": VllmEngine(model="n")}
    run = Run(run.name, run.recipe.model_copy(update={"engines": served}), run.lake, tmp_path)
    assert needs(run, "synthesize") == {"CPU": 1, "GPU": 8}
    asked = {"cpus": 2, "gpus": 0, "custom": {"disk": 1}}
    assert needs(run, "synthesize", **asked) == {"CPU": 2, "GPU": 0, "disk": 1}


def test_nodes_say_what_they_have_and_for_how_many_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    assert GPU_NODE.has({"CPU": 1, "GPU": 4})
    assert not GPU_NODE.has({"disk": 1})
    assert GPU_NODE.room({"CPU": 2, "GPU": 0}) == 4
    up = {"NodeID": "a", "NodeManagerAddress": "n1", "Resources": {"CPU": 2.0}, "Alive": True}
    gone = {"NodeID": "b", "NodeManagerAddress": "n2", "Resources": {"GPU": 8.0}, "Alive": False}
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(nodes=lambda: [up, gone]))
    assert [node.id for node in fitting_nodes("seeds", {"CPU": 1, "GPU": 0}, False)] == ["a"]
    with pytest.raises(UserError) as refused:
        fitting_nodes("synthesize", {"CPU": 1, "GPU": 1}, False)
    assert str(refused.value) == (
        "stage 'synthesize': a worker takes CPU 1, GPU 1, and no node of the cluster has that "
        "(n1: CPU 2); cluster.resources.synthesize says what a worker takes, e.g. {gpus: 0} for "
        "models on CPUs"
    )
    assert fitting_nodes("synthesize", {"CPU": 1, "GPU": 1}, True) == []


@pytest.mark.parametrize(
    ("said", "refusal"),
    [
        ([GOOD, GOOD], ""),
        ([GOOD, {"error": "Parrot can't be imported there (x)"}], "node n1: Parrot can't be imp"),
        ([GOOD, {**GOOD, "version": "0.1"}], f"node n1 has Parrot 0.1, this machine {__version__}"),
        ([GOOD, {**GOOD, "shared": False}], "lake /lake: n1 found another one there, or none"),
        ([GOOD, {**GOOD, "missing": ["KEY"]}], ""),
        ([{**GOOD, "missing": ["KEY"]}] * 2, "no node has the environment variable KEY"),
        ([], ""),
    ],
)
def test_an_unfit_node_is_told_in_one_line(
    monkeypatch: pytest.MonkeyPatch, said: list[dict[str, Any]], refusal: str
) -> None:
    named = [(f"n{number}", each) for number, each in enumerate(said)]
    monkeypatch.setattr(ray_cluster, "_looked", lambda *_: named)
    if not refusal:
        return check_nodes([GPU_NODE], "/lake", "proof", ["KEY"])
    with pytest.raises(UserError) as refused:
        check_nodes([GPU_NODE], "/lake", "proof", ["KEY"])
    assert str(refused.value).startswith(refusal)
    assert "\n" not in str(refused.value)


def test_a_head_may_be_away_for_a_while_and_not_for_good() -> None:
    now = 0.0
    with socket.create_server(("127.0.0.1", 0)) as server:
        head = Head(f"127.0.0.1:{server.getsockname()[1]}", lambda: now)
        head.check()
    now = HEAD_AWAY_S - 1
    head.check()
    now = 2 * HEAD_AWAY_S
    with pytest.raises(WorkersLost, match=r"the Ray head at 127.0.0.1:\d+ is gone"):
        head.check()


def test_a_cluster_that_cannot_be_reached_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'parrot-factory\[ray\]'"):
        check_address("auto")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: "there")
    check_address("auto")
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"ray://127.0.0.1:{server.getsockname()[1]}"
        check_address(address)
    with pytest.raises(UserError, match=f"nothing answers at {address}"):
        check_address(address)
