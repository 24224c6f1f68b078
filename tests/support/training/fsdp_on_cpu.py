"""Our training process under FSDP without a GPU: ``fsdp_on_cpu.py job.json``, under torchrun.

torch shards over CPUs and gloo, but accelerate heeds its FSDP settings on accelerators only. So it
is told that these processes are some; the settings are those that the recipe's ``fsdp`` renders.
"""

import os
import sys
from pathlib import Path
from typing import Any

import accelerate.state
from accelerate.utils import DistributedType
from transformers import TrainerCallback

from parrot_core.recipe import Devices
from parrot_core.stages.training import worker
from parrot_core.stages.training.devices import accelerate_config
from parrot_core.stages.training.job import TrainingJob, load_job


def use_fsdp(job: TrainingJob) -> None:
    """What ``accelerate launch`` would set, and a state that lets it have effect."""
    devices = Devices(nodes=2, processes=1, strategy="fsdp")
    settings = job.settings.model_copy(update={"devices": devices})
    config = accelerate_config(settings, bf16=False)["fsdp_config"]
    os.environ["ACCELERATE_USE_FSDP"] = "true"
    for name, value in config.items():
        os.environ[name.upper()] = str(value).lower() if isinstance(value, bool) else str(value)
    state = accelerate.state.PartialState
    begin = state.__init__

    def begin_as_accelerator(self: Any, cpu: bool = False, **options: Any) -> None:
        fresh = not state._shared_state
        begin(self, cpu=cpu, **options)
        if fresh:
            self.distributed_type = DistributedType.MULTI_GPU

    state.__init__ = begin_as_accelerator


class SayHowSharded(TrainerCallback):
    """Prints what the trainer trains."""

    def on_step_end(self, *_: Any, model: Any, **__: Any) -> None:
        kinds = {type(weights).__name__ for weights in model.parameters()}
        held = {type(weights.data).__name__ for weights in model.parameters()} - {"Tensor"}
        print(f"{type(model).__name__}, weights in {'/'.join(sorted(held or kinds))}", flush=True)


if __name__ == "__main__":
    use_fsdp(load_job(Path(sys.argv[1])))
    make = worker.make_trainer

    def watched(*arguments: Any) -> Any:
        trainer = make(*arguments)
        trainer.add_callback(SayHowSharded())
        return trainer

    worker.make_trainer = watched
    worker.leave(worker.main(sys.argv[1:]))
