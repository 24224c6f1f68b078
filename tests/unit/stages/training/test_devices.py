"""What ``devices`` of a recipe becomes: read by accelerate's own parser."""

import pytest
import yaml

from parrot_core.errors import TrainingFailed
from parrot_core.recipe import Devices, TrainDpo, TrainSft
from parrot_core.stages.training.devices import WORKER, accelerate_config, launcher
from parrot_core.stages.training.job import TrainingJob
from parrot_core.stages.training.nodes import TrainingNode


def job_of(tmp_path, strategy, processes=8, nodes=1, **settings):
    chosen = TrainSft(
        base="x",
        batch_size=32,
        per_device_batch_size=2,
        devices=Devices(nodes=nodes, processes=processes, strategy=strategy),
        **settings,
    )
    return TrainingJob(
        kind="sft", model="x", folder=tmp_path, settings=chosen, seed=1, data_sha256=""
    )


SECOND = TrainingNode(rank=1, count=2, address="first.example", port=29400)


def as_accelerate_reads_it(job, gpus=8, node=None):
    """The launcher's arguments after accelerate has validated them against the file."""
    from accelerate.commands.launch import _validate_launch_command, launch_command_parser

    command = launcher(job, gpus, bf16=True, worker=(*WORKER, str(job.file)), node=node)
    assert command[1:3] == ["-m", "accelerate.commands.launch"]
    arguments = launch_command_parser().parse_args(command[3:])
    return _validate_launch_command(arguments)[0]


@pytest.mark.parametrize("strategy", ["ddp", "fsdp", "deepspeed-zero2", "deepspeed-zero3"])
def test_accelerate_takes_the_rendered_file_for_what_the_recipe_says(tmp_path, strategy):
    found = as_accelerate_reads_it(job_of(tmp_path, strategy))
    assert found.num_processes == 8
    assert found.mixed_precision == "bf16"
    assert found.module
    assert found.training_script == "parrot_core.stages.training.worker"
    assert found.use_fsdp == (strategy == "fsdp")
    assert found.use_deepspeed == strategy.startswith("deepspeed")
    assert found.multi_gpu == (strategy == "ddp")
    assert found.main_process_port == 0


@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_accelerate_starts_a_nodes_own_processes_and_meets_the_first_node(tmp_path, strategy):
    found = as_accelerate_reads_it(job_of(tmp_path, strategy, nodes=2), node=SECOND)
    assert (found.num_machines, found.machine_rank, found.num_processes) == (2, 1, 16)
    assert (found.main_process_ip, found.main_process_port) == ("first.example", 29400)


def test_fsdp_shards_everything_and_gathers_one_state_to_save(tmp_path):
    found = as_accelerate_reads_it(job_of(tmp_path, "fsdp"))
    assert str(found.fsdp_version) == "2"
    assert str(found.fsdp_reshard_after_forward).lower() == "true"  # FULL_SHARD in version 1
    assert found.fsdp_auto_wrap_policy == "TRANSFORMER_BASED_WRAP"
    assert found.fsdp_state_dict_type == "FULL_STATE_DICT"


def test_dpo_reads_its_weights_in_every_process_for_its_reference_is_sharded_as_it_is(tmp_path):
    devices = Devices(processes=8, strategy="fsdp")
    for settings, lean in ((TrainSft(base="x", devices=devices), True), (TrainDpo(), False)):
        config = accelerate_config(settings.model_copy(update={"devices": devices}), bf16=True)
        assert config["fsdp_config"]["fsdp_cpu_ram_efficient_loading"] is lean


@pytest.mark.parametrize("stage", [2, 3])
def test_deepspeed_accumulates_as_often_as_the_trainer(tmp_path, stage):
    found = as_accelerate_reads_it(job_of(tmp_path, f"deepspeed-zero{stage}"))
    assert found.zero_stage == stage
    assert found.gradient_accumulation_steps == 32 // 8 // 2
    assert found.gradient_clipping == 1.0


def test_arguments_of_the_recipe_come_after_the_file_and_win(tmp_path):
    job = job_of(tmp_path, "ddp", accelerate_args=("--main_process_port=29777",))
    assert as_accelerate_reads_it(job).main_process_port == 29777


def test_cpu_processes_are_started_by_torchrun(tmp_path):
    command = launcher(job_of(tmp_path, "ddp", 2), 0, False, (*WORKER, "job.json"))
    assert command[1:3] == ["-m", "torch.distributed.run"]
    assert "--nproc_per_node=2" in command
    assert not (tmp_path / "accelerate.yaml").exists()


def test_torchrun_is_told_the_node_so_that_the_first_one_stays_the_first(tmp_path):
    command = launcher(job_of(tmp_path, "ddp", 2, 2), 0, False, (*WORKER, "job.json"), SECOND)
    assert {"--nnodes=2", "--node_rank=1", "--nproc_per_node=2"} < set(command)
    assert {"--master_addr=first.example", "--master_port=29400"} < set(command)
    assert "--standalone" not in command


@pytest.mark.parametrize(
    ("strategy", "gpus", "expected"),
    [("fsdp", 0, "needs GPUs, and this machine shows none"), ("ddp", 4, "this machine shows 4")],
)
def test_devices_that_are_not_there_are_said_in_one_line(tmp_path, strategy, gpus, expected):
    with pytest.raises(TrainingFailed, match=expected):
        launcher(job_of(tmp_path, strategy), gpus, True, WORKER)


def test_the_file_is_plain_yaml(tmp_path):
    config = accelerate_config(job_of(tmp_path, "fsdp").settings, bf16=False)
    assert yaml.safe_load(yaml.safe_dump(config)) == config
    assert config["mixed_precision"] == "no"
