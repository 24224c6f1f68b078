"""A training over two nodes on one machine: each has a folder and a launcher of its own."""

import shutil
import socket
from collections.abc import Callable, Sequence

import pytest

from parrot_core.recipe import Devices
from parrot_core.stages.training.job import TrainingJob
from parrot_core.stages.training.launch import WORKER, Figures, run_training, started
from parrot_core.stages.training.nodes import TrainingNode

TWO_NODES = Devices(nodes=2, processes=1, strategy="ddp")


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


def train_on_two_nodes(
    job: TrainingJob, on_progress: Callable[[Figures], None], worker: Sequence[str] = WORKER
) -> Figures:
    """Run the job as the first node's process does, beside a second node with an empty disk."""
    port = free_port()
    other = job.model_copy(update={"folder": job.folder.with_name(f"{job.folder.name}-second")})
    shutil.rmtree(other.folder, ignore_errors=True)
    other.folder.mkdir()
    other.model_copy(update={"model": "", "data_sha256": ""}).save()
    second = TrainingNode(rank=1, count=2, address="127.0.0.1", port=port)
    with pytest.MonkeyPatch.context() as patch, started(other, worker, second):
        for name, value in (
            ("PET_NNODES", "2"),
            ("PET_NODE_RANK", "0"),
            ("PET_MASTER_ADDR", "127.0.0.1"),
            ("PET_MASTER_PORT", str(port)),
        ):
            patch.setenv(name, value)
        return run_training(job, on_progress, worker=worker)
