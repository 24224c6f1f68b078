"""Which node of a training a machine is, by what launchers put into the environment."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parrot_core.errors import UserError
from parrot_core.models.references import child_environment
from parrot_core.recipe import Devices, TrainSft
from parrot_core.stages.training.job import TrainingJob
from parrot_core.stages.training.launch import command_of, node_in
from parrot_core.stages.training.nodes import TrainingNode, launched_node

KUBEFLOW = {
    "PET_NNODES": "2",
    "PET_NODE_RANK": "1",
    "PET_NPROC_PER_NODE": "8",
    "PET_MASTER_ADDR": "job-node-0.job",
    "PET_MASTER_PORT": "29400",
}
PYTORCH_JOB = {"WORLD_SIZE": "2", "RANK": "1", "MASTER_ADDR": "job-0", "MASTER_PORT": "23456"}
TORCHRUN = {
    **PYTORCH_JOB,
    "TORCHELASTIC_RUN_ID": "none",
    "GROUP_RANK": "1",
    "GROUP_WORLD_SIZE": "2",
    "LOCAL_WORLD_SIZE": "1",
}


def test_each_launcher_says_which_node_this_is():
    assert launched_node(KUBEFLOW) == TrainingNode(
        rank=1, count=2, address="job-node-0.job", port=29400
    )
    assert launched_node(PYTORCH_JOB) == TrainingNode(rank=1, count=2, address="job-0", port=23456)


def test_under_torchrun_which_listens_at_its_port_itself_the_nodes_meet_at_the_next():
    assert launched_node(TORCHRUN) == TrainingNode(rank=1, count=2, address="job-0", port=23457)


def test_without_a_launcher_or_with_one_node_there_is_no_node():
    assert launched_node({"PATH": "/bin", "MASTER_PORT": "1"}) is None
    assert launched_node({"RANK": "0", "WORLD_SIZE": "1"}) is None


def test_torchrun_that_starts_a_process_a_gpu_is_told_to_start_one_a_node():
    with pytest.raises(UserError, match="--nproc-per-node 1"):
        launched_node({**TORCHRUN, "LOCAL_WORLD_SIZE": "8"})


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"PET_NNODES": "1:4"}, "PET_NNODES: "),
        ({"PET_NODE_RANK": "2"}, "none of 2"),
        ({"PET_MASTER_PORT": "auto"}, "PET_MASTER_PORT: "),
        ({"PET_MASTER_ADDR": ""}, "PET_MASTER_ADDR: "),
    ],
)
def test_a_variable_that_makes_no_sense_is_named_in_one_line(changed, named):
    with pytest.raises(UserError, match=named) as caught:
        launched_node({**KUBEFLOW, **changed})
    assert "\n" not in str(caught.value)


@given(st.dictionaries(st.sampled_from([*KUBEFLOW, *TORCHRUN]), st.text(max_size=6)))
def test_whatever_a_launcher_says_is_a_node_or_one_clear_line(environment):
    with suppress(UserError):
        node = launched_node(environment)
        assert node is None or 0 <= node.rank < node.count


def test_what_a_launcher_told_this_process_is_kept_from_its_children(monkeypatch):
    told = {**KUBEFLOW, **TORCHRUN, "LOCAL_RANK": "0", "ACCELERATE_TORCH_DEVICE": "cuda:0"}
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    assert not told.keys() & child_environment().keys()


@pytest.fixture
def job(tmp_path, monkeypatch):
    for name in (*KUBEFLOW, *TORCHRUN, "RAY_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    settings = TrainSft(base="x", devices=Devices(nodes=2, processes=8, strategy="fsdp"))
    return TrainingJob(
        kind="sft", model="x", folder=tmp_path, settings=settings, seed=1, data_sha256="a"
    )


def test_a_launchers_node_starts_its_own_processes(job, monkeypatch):
    for name, value in KUBEFLOW.items():
        monkeypatch.setenv(name, value)
    node = node_in(job)
    assert node is not None
    assert command_of(job, node=node)[2] == "parrot_core.stages.training.devices"


def test_without_a_launcher_ray_brings_the_nodes(job, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    assert node_in(job) is None
    assert command_of(job)[2] == "parrot_core.stages.training.ray_nodes"


def test_nodes_that_nobody_brings_are_refused_before_anything_starts(job):
    with pytest.raises(UserError, match=r"neither a Ray cluster .* nor a launcher"):
        node_in(job)


def test_a_launcher_of_another_size_is_refused(job, monkeypatch):
    for name, value in {**KUBEFLOW, "PET_NNODES": "4"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=r"devices\.nodes is 2, but the launcher gives 4 nodes"):
        node_in(job)


def test_deepspeed_over_nodes_is_refused_by_the_recipe():
    with pytest.raises(ValueError, match="expected ddp or fsdp"):
        Devices(nodes=2, strategy="deepspeed-zero3")
