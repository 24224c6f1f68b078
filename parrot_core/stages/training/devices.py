"""Start a training's processes, one a device (``python -m …training.devices job.json``).

On GPUs this becomes ``accelerate launch`` with a configuration rendered from the recipe's
``devices``; on CPUs ``torchrun``, since accelerate starts several CPU processes through MPI only.
Over nodes, each of them does this for its own processes.
A process of its own, so that the one that runs the stage need not import torch to look for GPUs.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from parrot_core.errors import TrainingFailed
from parrot_core.recipe import TrainDpo, Training
from parrot_core.stages.training.job import TrainingJob, load_job, write_json
from parrot_core.stages.training.nodes import NODE, TrainingNode
from parrot_core.stages.training.schedule import Schedule

WORKER = ("-m", "parrot_core.stages.training.worker")


def accelerate_config(
    settings: Training, *, bf16: bool, node: TrainingNode | None = None
) -> dict[str, Any]:
    """Render ``accelerate``'s configuration file for GPUs of this machine.

    Args:
        settings: whose ``devices`` say how many processes there are and what they share.
        bf16: whether to compute in bf16.
        node: which of several machines this one is.
    """
    devices = settings.devices
    config: dict[str, Any] = {
        "compute_environment": "LOCAL_MACHINE",
        "distributed_type": "MULTI_GPU",
        "num_machines": devices.nodes,
        "machine_rank": node.rank if node else 0,
        "num_processes": devices.total,
        "main_process_port": 0,  # a free one: two trainings may share a machine
        "mixed_precision": "bf16" if bf16 else "no",
        "use_cpu": False,
    }
    if node is not None:
        config |= {"main_process_ip": node.address, "main_process_port": node.port}
    if devices.total == 1 and devices.strategy == "ddp":
        config["distributed_type"] = "NO"
    if devices.strategy == "fsdp":
        config["distributed_type"] = "FSDP"
        # TRL shards each process's own copy of DPO's reference, which would be zeros but for one.
        lean = not isinstance(settings, TrainDpo)
        config["fsdp_config"] = {**_FSDP, "fsdp_cpu_ram_efficient_loading": lean}
    if devices.strategy in ("deepspeed-zero2", "deepspeed-zero3"):
        stage = int(devices.strategy[-1])
        config["distributed_type"] = "DEEPSPEED"
        config["deepspeed_config"] = {
            "zero_stage": stage,
            "gradient_accumulation_steps": Schedule.of(settings, 1, devices.total).accumulation,
            "gradient_clipping": 1.0,  # as the trainer clips without DeepSpeed
            "offload_optimizer_device": "none",
            "offload_param_device": "none",
            "zero3_init_flag": stage == 3,
            "zero3_save_16bit_model": stage == 3,
        }
    return config


_FSDP: dict[str, Any] = {
    "fsdp_version": 2,  # torch's fully_shard: the one that runs on CPUs too, and so is tested
    "fsdp_reshard_after_forward": True,
    "fsdp_auto_wrap_policy": "TRANSFORMER_BASED_WRAP",
    "fsdp_state_dict_type": "FULL_STATE_DICT",
    "fsdp_offload_params": False,
    "fsdp_cpu_ram_efficient_loading": True,  # one process reads the weights, where it may
    "fsdp_activation_checkpointing": False,  # the trainer's own, see gradient_checkpointing
}


def launcher(
    job: TrainingJob, gpus: int, bf16: bool, worker: Sequence[str], node: TrainingNode | None = None
) -> list[str]:
    """The command that starts the job's processes on this machine.

    Args:
        bf16: whether to compute in bf16.
        node: which of several machines this one is.

    Raises:
        TrainingFailed: the machine hasn't the devices that the recipe asks for.
    """
    devices = job.settings.devices
    if gpus == 0:
        if devices.strategy != "ddp":
            raise TrainingFailed(
                f"devices.strategy '{devices.strategy}' needs GPUs, and this machine shows none; "
                "expected ddp"
            )
        where = ["--standalone"]
        if node is not None:
            where = [f"--nnodes={node.count}", f"--node_rank={node.rank}"]
            where += [f"--master_addr={node.address}", f"--master_port={node.port}"]
        torchrun = (sys.executable, "-m", "torch.distributed.run", *where)
        return [*torchrun, f"--nproc_per_node={devices.processes}", *worker]
    if devices.processes > gpus:
        raise TrainingFailed(
            f"devices.processes {devices.processes} needs as many GPUs, and this machine shows "
            f"{gpus}"
        )
    config = job.folder / "accelerate.yaml"
    rendered = accelerate_config(job.settings, bf16=bf16, node=node)
    config.write_text(yaml.safe_dump(rendered, sort_keys=False), encoding="utf-8")
    launch = ("-m", "accelerate.commands.launch", f"--config_file={config}")
    return [sys.executable, *launch, *job.settings.accelerate_args, *worker]


def main(arguments: list[str]) -> int:
    """Replace this process by the launcher of ``job.json``'s processes."""
    import torch

    from parrot_core.stages.training.precision import wants_bf16

    job = load_job(Path(arguments[0]))
    worker = (*(arguments[1:] or WORKER), arguments[0])
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    node = TrainingNode.model_validate_json(os.environ[NODE]) if NODE in os.environ else None
    try:
        command = launcher(job, gpus, wants_bf16(job.settings.precision), worker, node)
    except TrainingFailed as error:
        write_json(job.failure_file(0), {"kind": "known", "message": str(error)})
        return 1
    if gpus == 0:
        os.environ["ACCELERATE_USE_CPU"] = "true"
    os.execv(command[0], command)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
