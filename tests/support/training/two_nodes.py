"""A training over two nodes on one machine: each has a launcher and files of its own."""

import ctypes
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from parrot_core.recipe import Devices
from parrot_core.stages.training.job import TrainingJob
from parrot_core.stages.training.launch import WORKER, Figures, run_training, started
from parrot_core.stages.training.nodes import TrainingNode
from tests.support.servers.ports import free_port

TWO_NODES = Devices(nodes=2, processes=1, strategy="ddp")
CLONE_NEWNS, MS_REC, MS_PRIVATE = 0x20000, 0x4000, 0x40000


def train_on_two_nodes(
    job: TrainingJob, on_progress: Callable[[Figures], None], worker: Sequence[str] = WORKER
) -> Figures:
    """Run the job as the first node's process does, beside a second node with an empty disk."""
    port = free_port()
    told = {"NNODES": "2", "NODE_RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    second = TrainingNode(rank=1, count=2, address="127.0.0.1", port=port)
    with pytest.MonkeyPatch.context() as patch, _another_machine(job, second, worker):
        for name, value in told.items():
            patch.setenv(f"PET_{name}", value)
        return run_training(job, on_progress, worker=worker)


@contextmanager
def _another_machine(job: TrainingJob, node: TrainingNode, worker: Sequence[str]) -> Iterator[None]:
    """Start a node's part where the job's own folder can't be seen."""
    folder = job.folder.with_name(f"{job.folder.name}-second")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    other = job.model_copy(update={"folder": folder, "model": "", "data_sha256": ""})
    other.save()
    part = started(other, worker, node)

    def start() -> None:
        _hide(job.folder)
        part.__enter__()

    with ThreadPoolExecutor(1) as thread:  # what it starts sees what it sees
        thread.submit(start).result()
    try:
        yield
    finally:
        part.__exit__(None, None, None)


def _hide(folder: Path) -> None:
    """Show this thread an empty folder instead."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS):
        pytest.skip(f"no mount namespace may be made: {os.strerror(ctypes.get_errno())}")
    assert libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None) == 0
    assert libc.mount(b"none", str(folder).encode(), b"tmpfs", 0, None) == 0
